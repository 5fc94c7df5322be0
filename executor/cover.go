package executor

import (
	"hash/fnv"
	"slices"
	"sync"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// firstCoverIndex is where the indexes of our tagged policies begin. The kernel counts up from 8 in steps of 8 and
// would take 470 million policies to get here; naming the index ourselves is what lets us delete by it without asking.
const firstCoverIndex = 0xe0000000

// indexes hands out indexes for tagged policies, none to two policies that are there at once. It is safe for concurrent
// use.
type indexes struct {
	mu   sync.Mutex // guards all below
	n    uint32
	free []uint32 // that a group has had and that were read to be free again
}

// start begins at a place that goes by the run's name, so that two programs that don't know of each other don't name
// the same indexes.
func (x *indexes) start(run string) {
	h := fnv.New32a()
	h.Write([]byte(run))
	x.n = h.Sum32() &^ 7
}

// next returns one that was not handed out before. Whether it is free has to be read.
func (x *indexes) next(dir xfrm.Dir) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fresh(dir)
}

func (x *indexes) fresh(dir xfrm.Dir) uint32 {
	const room = ^uint32(0) - firstCoverIndex
	x.n += 8
	return firstCoverIndex + (x.n-8)&room&^7 + uint32(dir)
}

// take returns one that is known to be free, if there is one, else the next.
func (x *indexes) take(dir xfrm.Dir) (index uint32, free bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := len(x.free) - 1; i >= 0; i-- {
		if index := x.free[i]; index&7 == uint32(dir) {
			x.free = slices.Delete(x.free, i, i+1)
			return index, true
		}
	}
	return x.fresh(dir), false
}

// put takes back those of covers that were read to be gone.
func (x *indexes) put(gone []xfrm.Policy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range gone {
		x.free = append(x.free, gone[i].Index)
	}
}

// forget makes indexes be read anew: what was read before a pause may be long ago.
func (x *indexes) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.free = nil
}

// covers are the temporary policies of one transaction.
type covers struct {
	// Tagged, to be deleted in the end: blocks over outbound policies, so that nothing leaves while the SAs move, and
	// shadows over inbound and forward policies that change, with the new templates already. They are deleted in the
	// opposite order, the youngest first: a shadow stands above all of its priority, and that of a bypass without that
	// of the older policy beside it would let cleartext in.
	tagged []xfrm.Policy

	inPlace []xfrm.Policy // blocks that replace an outbound policy of priority 0, which nothing can outrank
	unread  []xfrm.Policy // of the tagged ones those whose index is not known to be free
}

// coversOf lays out the covers. A policy of priority 0 can't be covered: of equal priority the older one wins. An
// inbound or forward one that is direct has no need to: one message takes it from old to new.
func coversOf(t *Transaction, direct []bool, x *indexes) covers {
	c := covers{tagged: make([]xfrm.Policy, 0, len(t.Policies))}
	index := func(dir xfrm.Dir) (n uint32) {
		n, free := x.take(dir)
		if !free {
			c.unread = append(c.unread, xfrm.Policy{Index: n, Dir: dir})
		}
		return n
	}
	for i := range t.Policies {
		pc := &t.Policies[i]
		switch {
		case replacedInPlace(pc) && pc.Old.Dir == xfrm.DirOut:
			c.inPlace = append(c.inPlace, blockInPlace(pc.Old))
		case replacedInPlace(pc):
		case pc.Old.Dir == xfrm.DirOut:
			c.tagged = append(c.tagged, block(pc.Old, index(xfrm.DirOut)))
			if reselected(pc) { // what it will match is not to leave either
				c.tagged = append(c.tagged, block(pc.New, index(xfrm.DirOut)))
			}
		case pc.New != nil && !direct[i] && !changesFamily(pc): // else nothing of the old one is left to let in
			c.tagged = append(c.tagged, shadow(pc, index(pc.Old.Dir)))
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
func reselected(pc *plan.PolicyChange) bool { return pc.New != nil && !pc.New.SameKey(pc.Old) }

// changesFamily reports whether the policy will be for the other address family.
func changesFamily(pc *plan.PolicyChange) bool {
	return pc.New != nil && pc.New.Sel.Family != pc.Old.Sel.Family
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

// coverKey returns what a tagged policy over p is found by.
func coverKey(p *xfrm.Policy) *xfrm.Policy {
	c := *p
	c.Sel = p.Sel.Tagged(xfrm.Tag)
	return &c
}

// protects reports whether p keeps what it matches from passing in the clear.
func protects(p *xfrm.Policy) bool {
	return p != nil && (p.Action == xfrm.Block || len(p.Templates) != 0)
}
