package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// overrideSelector sets the SA's own selector (what becomes of its policies' is in rewrite).
func (c *computation) overrideSelector(v *move, set *SelectorChange) bool {
	switch {
	case set == nil, set.Kind == SelectorKeep:
		return false
	case set.Kind == SelectorHostToHost:
		v.hosts = true
		return c.hostSelector(v)
	}
	c.needDirection(v, "the selector's ends depend on it")
	src, dst := set.Local, set.Remote
	if v.dir == xfrm.SADirIn {
		src, dst = dst, src
	}
	sel := xfrm.SelectorFor(src, dst)
	next := v.sa.Sel // with its protocol and ports
	next.Src, next.Dst, next.SrcLen, next.DstLen, next.Family = sel.Src, sel.Dst, sel.SrcLen, sel.DstLen, sel.Family
	if next == v.m.NewSel {
		return false
	}
	v.m.NewSel = next
	return true
}

// hostSelector lets the SA's selector follow its addresses. The kernel's flag is used where the kernel accepts it,
// because then it checks once more that the selector is what we think; where one end is a wildcard or a prefix, that
// end stays.
func (c *computation) hostSelector(v *move) bool {
	from, to := v.from(), v.to()
	src, dst := isHost(&v.sa.Sel, from)
	if from == to || !src && !dst {
		return false // what the selector is for is not the SA's addresses: tunnels, as a rule any traffic
	}
	next, ok := followHosts(v.sa.Sel, from, to)
	if !ok {
		c.refuse(SlugTransportSelector, v.sa,
			fmt.Sprintf("SA %v: one end of its selector %v is a prefix, which can't follow to another address family", v.sa.ID, v.sa.Sel),
			"give the new selector: overrides.set.selector: {local: ..., remote: ...}")
		return false
	}
	v.m.NewSel = next
	if src && dst {
		v.m.Flags |= xfrm.UpdateH2HSelector
	}
	return true
}

// isHost reports which ends of the selector are exactly the outer addresses.
func isHost(sel *xfrm.Selector, at ends) (src, dst bool) {
	if sel.Family != at.family {
		return false, false
	}
	bits := uint8(at.family.Bits())
	return sel.SrcLen == bits && sel.Src == at.src, sel.DstLen == bits && sel.Dst == at.dst
}

// followHosts replaces the ends of a selector that are exactly the outer addresses of from by those of to. It is not ok
// if the family changes and an end has to stay.
func followHosts(sel xfrm.Selector, from, to ends) (next xfrm.Selector, ok bool) {
	src, dst := isHost(&sel, from)
	if !src && !dst {
		return sel, true
	}
	if from.family != to.family && (!src || !dst) {
		return sel, false
	}
	bits := uint8(to.family.Bits())
	if src {
		sel.Src, sel.SrcLen = to.src, bits
	}
	if dst {
		sel.Dst, sel.DstLen = to.dst, bits
	}
	sel.Family = to.family
	return sel, true
}
