package executor

import (
	"hash/fnv"
	"slices"
	"sync/atomic"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// firstCoverIndex is where the indexes of our tagged policies begin. The kernel counts up from 8 in steps of 8 and
// would take 470 million policies to get here; naming the index ourselves is what lets us delete by it without asking.
const firstCoverIndex = 0xe0000000

// indexes hands out indexes for tagged policies, none twice in a run.
type indexes struct{ n atomic.Uint32 }

// start begins at a place that goes by the run's name, so that two programs that don't know of each other don't name
// the same indexes.
func (x *indexes) start(run string) {
	h := fnv.New32a()
	h.Write([]byte(run))
	x.n.Store(h.Sum32() &^ 7)
}

func (x *indexes) next(dir xfrm.Dir) uint32 {
	const room = ^uint32(0) - firstCoverIndex
	return firstCoverIndex + (x.n.Add(8)-8)&room&^7 + uint32(dir)
}

// covers are the temporary policies of one transaction.
type covers struct {
	blocks  []xfrm.Policy // tagged, over outbound policies: nothing leaves while the SAs move
	shadows []xfrm.Policy // tagged, over inbound and forward policies that change: the new templates already
	inPlace []xfrm.Policy // blocks that replace an outbound policy of priority 0, which nothing can outrank
}

// coversOf lays out the covers. A policy of priority 0 can't be covered: of equal priority the older one wins.
func coversOf(t *Transaction, x *indexes) covers {
	var c covers
	for i := range t.Policies {
		pc := &t.Policies[i]
		switch {
		case replacedInPlace(pc) && pc.Old.Dir == xfrm.DirOut:
			c.inPlace = append(c.inPlace, blockInPlace(&pc.Old))
		case replacedInPlace(pc):
		case pc.Old.Dir == xfrm.DirOut:
			c.blocks = append(c.blocks, block(&pc.Old, x.next(xfrm.DirOut)))
			if reselected(pc) { // what it will match is not to leave either
				c.blocks = append(c.blocks, block(pc.New, x.next(xfrm.DirOut)))
			}
		case pc.New != nil:
			c.shadows = append(c.shadows, shadow(pc, x.next(pc.Old.Dir)))
		}
	}
	// A block in place is the youngest of its priority. The policies come the older ones first: blocked in that order,
	// packets that an older one matches would go to a younger one that is not blocked yet, and maybe out in the clear.
	slices.Reverse(c.inPlace)
	return c
}

// replacedInPlace reports whether the policy has the priority that nothing outranks.
func replacedInPlace(pc *plan.PolicyChange) bool { return pc.Old.Priority == 0 }

// reselected reports whether the policy will match other packets than it does, as a host-to-host policy does whose
// hosts are renumbered. To the kernel such a policy is another one: both can stand side by side.
func reselected(pc *plan.PolicyChange) bool { return pc.New != nil && pc.New.Key() != pc.Old.Key() }

// block returns the tagged block policy over p: the same packets, one step above. It never expires: a block that ran
// out would let cleartext through.
func block(p *xfrm.Policy, index uint32) xfrm.Policy {
	b := *p
	b.Sel = p.Sel.Tagged(xfrm.Tag)
	b.Index = index
	b.Priority--
	b.Action = xfrm.Block
	b.Templates = nil
	b.Limits, b.Current = xfrm.NoLimits, xfrm.Lifetime{}
	return b.WithoutUnknown()
}

// blockInPlace returns p turned into a block. Its selector has to stay what it is, so that the tag stands in a limit
// that the kernel keeps for policies and never looks at.
func blockInPlace(p *xfrm.Policy) xfrm.Policy {
	b := *p
	b.Action = xfrm.Block
	b.Templates = nil
	b.Limits, b.Current = xfrm.NoLimits, xfrm.Lifetime{}
	b.Limits.SoftBytes = uint64(xfrm.Tag)
	return b.WithoutUnknown()
}

// blockedInPlace reports whether p is a block that a run put in the place of a policy.
func blockedInPlace(p *xfrm.Policy) bool {
	return p.Action == xfrm.Block && p.Limits.SoftBytes == uint64(xfrm.Tag)
}

// shadow returns the tagged policy that stands in for an inbound or forward policy while it is replaced.
func shadow(pc *plan.PolicyChange, index uint32) xfrm.Policy {
	s := *pc.New
	s.Sel = pc.Old.Sel.Tagged(xfrm.Tag)
	s.Index = index
	s.Priority = pc.Old.Priority - 1
	s.Limits, s.Current = xfrm.NoLimits, xfrm.Lifetime{}
	return s.WithoutUnknown()
}

// tagged lists the covers in the order in which they have to be deleted in the end: the youngest first, for a shadow stands
// above all of its priority. The shadow of a bypass without that of the older policy beside it would let cleartext in.
func (c *covers) tagged() []xfrm.Policy {
	all := append(append([]xfrm.Policy(nil), c.blocks...), c.shadows...)
	slices.Reverse(all)
	return all
}

// protects reports whether p keeps what it matches from passing in the clear.
func protects(p *xfrm.Policy) bool {
	return p != nil && (p.Action == xfrm.Block || len(p.Templates) != 0)
}
