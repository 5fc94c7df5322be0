package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// move is a call on its way: the migration of one SA.
type move struct {
	sa    *xfrm.SA
	dir   xfrm.SADir // as link found it
	m     xfrm.Migration
	hosts bool // selector: host-to-host
	hop   *xfrm.SAID
}

// from is where the SA is.
func (v *move) from() ends { return ends{v.sa.Src, v.sa.ID.Dst, v.sa.ID.Family} }

// to is where the SA goes.
func (v *move) to() ends { return ends{v.m.NewSrc, v.m.NewDst, v.m.NewFamily} }

// moves computes for each SA its migration, or none if nothing about it changes.
func (c *computation) moves() {
	c.moved = make([]*move, len(c.inv.SAs))
	c.left = make([]bool, len(c.inv.SAs))
	spread(len(c.inv.SAs), c.movesOf)
}

// movesOf does the work of moves for SAs from..to-1.
func (c *computation) movesOf(from, to int) {
	var all slab[move]
	matched, retagged := 0, false
	var notESP []int32
	for i := from; i < to; i++ {
		sa := &c.inv.SAs[i]
		src, movedSrc := c.mapping.apply(sa.Src, sa.ID.Family)
		dst, movedDst := c.mapping.apply(sa.ID.Dst, sa.ID.Family)
		if !movedSrc && !movedDst {
			continue
		}
		dir := c.links.dirs[i]
		switch {
		case sa.Larval():
			c.larval(sa)
			continue
		case !c.selected(sa, dir):
			c.left[i] = true
			continue
		}
		matched++
		if sa.Src.IsAny() {
			src.family = dst.family // a wildcard is of any family
		}
		if src.family != dst.family {
			c.refuse(SlugMixedFamilies, sa,
				fmt.Sprintf("SA %v: its source would be %v and its destination %v", sa.ID, src.addr.IP(src.family), dst.addr.IP(dst.family)),
				"map both ends of the SA to one family")
			continue
		}
		v := all.next()
		*v = move{sa: sa, dir: dir, m: xfrm.Migration{
			ID: sa.ID, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid,
			NewSrc: src.addr, NewDst: dst.addr, NewFamily: dst.family,
		}}
		v.anyFamily()
		set := c.changes(sa, dir)
		if sa.ID.Proto != xfrm.ProtoESP && set.encapsulates() {
			notESP = append(notESP, int32(i))
		}
		if changed := c.override(v, &set); !changed && src.addr == sa.Src && dst.addr == sa.ID.Dst {
			continue
		}
		c.check(v)
		c.moved[i] = v
		retagged = retagged || v.retags()
	}
	c.remarks.Lock()
	defer c.remarks.Unlock()
	c.plan.Matched += matched
	c.retagged = c.retagged || retagged
	c.notESP = append(c.notESP, notESP...)
}

// anyFamily lets a transport-mode SA that takes packets between any addresses take them in its new family too. Without
// being asked the kernel gives such an SA the selector 0.0.0.0/0, and it refuses to move it to another family with that.
func (v *move) anyFamily() {
	if v.sa.Mode == xfrm.ModeTransport && v.m.NewFamily != v.sa.ID.Family && v.m.NewSel.SrcLen == 0 && v.m.NewSel.DstLen == 0 {
		v.m.NewSel.Family = xfrm.FamilyUnspec
	}
}

// larval warns of an SPI that is allocated and has no keys yet: whoever negotiates the SA will complete it at the old
// address. What an ACQUIRE left has no SPI, and goes away by itself.
func (c *computation) larval(sa *xfrm.SA) {
	// Protocols that have no keys ever: helpers of IPComp follow the SA that they belong to.
	if sa.ID.SPI == 0 || sa.ID.Proto != xfrm.ProtoESP && sa.ID.Proto != xfrm.ProtoAH && sa.ID.Proto != xfrm.ProtoComp {
		return
	}
	c.warn(SlugLarval, "", fmt.Sprintf("SA %v is being negotiated: it will be completed at the old address. Wait until it is, and plan again", sa.ID))
}

// check refuses what the kernel would do wrong without saying so, or refuse itself when it is too late to ask.
func (c *computation) check(v *move) {
	sa, m := v.sa, &v.m
	if sa.Offload.IfIndex != 0 && m.Offload == nil && m.Flags&xfrm.ClearOffload == 0 {
		c.refuse(SlugOffload, sa,
			fmt.Sprintf("SA %v is offloaded to interface %d, which may not serve the new address", sa.ID, sa.Offload.IfIndex),
			"say what becomes of it: overrides.set.offload: none, or {dev: ..., mode: ...}")
	}
	if m.Mark != nil && m.Target() == m.ID {
		c.refuse(SlugMarkOnly, sa,
			fmt.Sprintf("SA %v: a new mark at an unchanged destination makes the kernel keep two SAs", sa.ID),
			"change marks in the IKE configuration, or together with the address")
	}
	c.checkSelector(v)
}

// checkSelector refuses an SA that would not take the packets that it is for: a transport-mode one carries them between
// its own addresses.
func (c *computation) checkSelector(v *move) {
	sa, m := v.sa, &v.m
	if sa.Mode != xfrm.ModeTransport || m.NewSel.Family == xfrm.FamilyUnspec {
		return
	}
	from, to := v.from(), v.to()
	switch {
	case m.NewSel.Family != m.NewFamily:
		// __xfrm_init_state: "Only tunnel modes can accommodate a change of family"
	case admits(&sa.Sel, from.src, from.dst, from.family) && !admits(&m.NewSel, to.src, to.dst, to.family):
	default:
		return
	}
	c.refuse(SlugTransportSelector, sa,
		fmt.Sprintf("SA %v is in transport mode and its selector %v does not take packets between its new addresses", sa.ID, m.NewSel),
		"let the selector follow: overrides.set.selector: host-to-host, or {local: ..., remote: ...}")
}
