package plan

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// claim is an SA's place in the SAD, before or after: what the kernel finds it by.
type claim struct {
	id   xfrm.SAID
	mark xfrm.Mark
}

// tuple is an SAID as a key.
type tuple xfrm.SAID

func (t tuple) hash() mixed {
	return unmixed.address(&t.Dst).word(uint64(t.SPI)<<32 | uint64(t.Family)<<8 | uint64(t.Proto))
}

func (v *move) source() claim { return claim{v.sa.ID, v.sa.Mark} }
func (v *move) target() claim { return claim{v.m.Target(), v.m.TargetMark()} }

// stays reports whether the SA keeps its tuple but for the mark, and changes its source only.
func (v *move) stays() bool { return v.m.Target() == v.sa.ID }

// finds reports whether looking for a finds b, as __xfrm_state_lookup does.
func (a claim) finds(b claim) bool { return a.id == b.id && a.mark.Key()&b.mark.Mask == b.mark.Key() }

// clashes reports whether two SAs can't be told apart.
func (a claim) clashes(b claim) bool { return a.finds(b) || b.finds(a) }

// claims looks whether each SA is found where it is and where it goes, and by whom its place is held meanwhile. It
// returns for each SA that waits for another one's place the number of that one, or -1; nil if none waits.
//
// A place has one holder and is wanted once, or the plan is refused, so that those that wait form chains and rings and
// nothing more tangled.
func (c *computation) claims() (holder []int32) {
	c.tuples = newChains(len(c.inv.SAs), func(i int32) tuple { return tuple(c.inv.SAs[i].ID) })
	for i := range c.inv.SAs {
		if c.inv.SAs[i].ID.SPI != 0 {
			c.tuples.add(int32(i))
		}
	}
	var meanwhile sync.WaitGroup
	meanwhile.Go(c.sameTargets)
	holder = make([]int32, len(c.inv.SAs))
	var some atomic.Bool
	spread(len(holder), func(from, to int) {
		for i := int32(from); i < int32(to); i++ {
			holder[i] = -1
			if v := c.moved[i]; v != nil {
				c.ambiguous(i, v)
				holder[i] = c.holder(i, v)
			}
			if holder[i] >= 0 {
				some.Store(true)
			}
		}
	})
	meanwhile.Wait()
	if !some.Load() {
		return nil
	}
	c.oneEach(holder)
	return holder
}

// sameTargets refuses SAs that would become the same one.
func (c *computation) sameTargets() {
	wanted := newChains(len(c.inv.SAs), func(i int32) tuple { return tuple(c.moved[i].m.Target()) })
	for g := range c.groups {
		for _, i := range c.groups[g].sas {
			v := c.moved[i]
			to := v.target()
			wanted.eachThenAdd(i, func(j int32) {
				other := c.moved[j]
				if other.stays() || v.stays() || other.source().clashes(v.source()) {
					return // what is wrong is found by its source
				}
				if to.clashes(other.target()) {
					c.refuse(SlugSameTarget, v.sa, fmt.Sprintf("SA %v and SA %v would both become %v", c.inv.SAs[j].ID, v.sa.ID, to.id),
						"exclude one of them, or re-key it first so that its SPI changes")
				}
			})
		}
	}
}

// oneEach refuses SAs that wait for the place of one that another one waits for already.
func (c *computation) oneEach(holder []int32) {
	wanted := make([]bool, len(holder))
	for g := range c.groups {
		for _, i := range c.groups[g].sas {
			h := holder[i]
			if h < 0 {
				continue
			}
			if wanted[h] {
				v := c.moved[i]
				c.refuse(SlugAmbiguousMark, v.sa, fmt.Sprintf("SA %v would take the place of SA %v with mark %v, and so would another one",
					v.sa.ID, c.inv.SAs[h].ID, c.inv.SAs[h].Mark), "move one of them after the other, with two plans")
				holder[i] = -1
			}
			wanted[h] = true
		}
	}
}

// ambiguous refuses an SA that the kernel could take another one for. It takes the first in its hash chain, as a rule
// the youngest.
func (c *computation) ambiguous(i int32, v *move) {
	c.tuples.each(tuple(v.sa.ID), func(j int32) {
		if j == i || !v.source().finds(claim{c.inv.SAs[j].ID, c.inv.SAs[j].Mark}) {
			return
		}
		c.refuse(SlugAmbiguousMark, v.sa, fmt.Sprintf("SA %v with mark %v: looking for it, the kernel also finds the one with mark %v",
			v.sa.ID, v.sa.Mark, c.inv.SAs[j].Mark), "re-key one of the two so that its SPI changes")
	})
}

// holder returns the SA that has to move away before SA i can move, or -1. One that stays is a conflict.
func (c *computation) holder(i int32, v *move) int32 {
	to, found := v.target(), int32(-1)
	if to.id == v.sa.ID {
		return found // no look-up: only other things than the place change
	}
	c.tuples.each(tuple(to.id), func(j int32) {
		other := &c.inv.SAs[j]
		if j == i || !to.clashes(claim{other.ID, other.Mark}) {
			return
		}
		away := c.moved[j]
		switch {
		case away == nil || away.stays():
			c.refuse(SlugConflict, v.sa, fmt.Sprintf("SA %v would become %v, which is taken by the SA from %v (reqid %d)",
				v.sa.ID, to.id, other.SrcIP(), other.Reqid),
				"re-key one of the two so that its SPI changes, or exclude this one")
		case found >= 0:
			c.refuse(SlugAmbiguousMark, v.sa, fmt.Sprintf("SA %v would become %v, where two SAs with marks are in its way", v.sa.ID, to.id),
				"re-key it so that its SPI changes")
			if compareSAs(other, &c.inv.SAs[found]) < 0 { // the dump's order doesn't count, even here
				found = j
			}
		default:
			found = j
		}
	})
	return found
}
