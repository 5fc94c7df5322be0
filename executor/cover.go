package executor

import (
	"sync/atomic"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// firstCoverIndex is where the indexes of our tagged policies begin. The kernel counts up from 8 in steps of 8 and
// would take 470 million policies to get here; naming the index ourselves is what lets us delete by it without asking.
const firstCoverIndex = 0xe0000000

// indexes hands out indexes for tagged policies, none twice in a run.
type indexes struct{ n atomic.Uint32 }

func (x *indexes) next(dir xfrm.Dir) uint32 { return firstCoverIndex + x.n.Add(8) - 8 + uint32(dir) }

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
		case pc.Old.Dir == xfrm.DirOut && pc.Old.Priority == 0:
			c.inPlace = append(c.inPlace, blockInPlace(&pc.Old))
		case pc.Old.Dir == xfrm.DirOut:
			c.blocks = append(c.blocks, block(&pc.Old, x.next(xfrm.DirOut)))
			if pc.New != nil && pc.New.Sel != pc.Old.Sel { // a host-to-host policy: what it will match is not to leave either
				c.blocks = append(c.blocks, block(pc.New, x.next(xfrm.DirOut)))
			}
		case pc.New != nil && pc.Old.Priority != 0:
			c.shadows = append(c.shadows, shadow(pc, x.next(pc.Old.Dir)))
		}
	}
	return c
}

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

// blockInPlace returns p turned into a block.
func blockInPlace(p *xfrm.Policy) xfrm.Policy {
	b := *p
	b.Action = xfrm.Block
	b.Templates = nil
	b.Limits, b.Current = xfrm.NoLimits, xfrm.Lifetime{}
	return b.WithoutUnknown()
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

// tagged lists the covers that have to be deleted in the end.
func (c *covers) tagged() []xfrm.Policy {
	return append(append([]xfrm.Policy(nil), c.blocks...), c.shadows...)
}
