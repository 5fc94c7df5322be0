package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// call computes the migration of one SA, or returns nil if nothing about it changes. The direction is as link found it.
func (c *computation) call(sa *xfrm.SA, dir xfrm.SADir) *Call {
	src, movedSrc := c.mapping.apply(sa.SrcIP())
	dst, movedDst := c.mapping.apply(sa.DstIP())
	if !movedSrc && !movedDst || !c.doc.Select.selected(sa, dir) {
		return nil
	}
	c.plan.Matched++
	if src.Is4() != dst.Is4() {
		c.plan.refuse(SlugMixedFamilies, "",
			fmt.Sprintf("SA %v: its source would be %v and its destination %v", sa.ID, src, dst),
			"map both ends of the SA to one family")
		return nil
	}
	call := &Call{SA: *sa, Dir: dir, Migration: xfrm.Migration{
		ID: sa.ID, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid,
		NewSrc: xfrm.AddressFrom(src), NewDst: xfrm.AddressFrom(dst), NewFamily: xfrm.FamilyOf(dst),
	}}
	changed := src != sa.SrcIP() || dst != sa.DstIP()
	if c.override(call, c.doc.changes(sa, dir)) {
		changed = true
	}
	if !changed {
		return nil
	}
	c.checkCall(call)
	return call
}

// override applies what the plan sets besides addresses and reports whether it changes anything.
func (c *computation) override(call *Call, set Changes) (changed bool) {
	sa, m := &call.SA, &call.Migration
	if set.Reqid != nil && *set.Reqid != sa.Reqid {
		m.NewReqid, changed = *set.Reqid, true
	}
	if set.Mark != nil && *set.Mark != sa.Mark {
		m.Mark, changed = set.Mark, true
	}
	if set.OutputMark != nil && *set.OutputMark != sa.OutputMark {
		m.OutputMark, changed = set.OutputMark, true
	}
	if set.Encap != nil {
		if e := set.Encap.wire(call.Dir); e != sa.Encap {
			m.Encap, changed = &e, true
		}
	}
	encapsulated := sa.Encap.Type != xfrm.EncapNone
	if m.Encap != nil {
		encapsulated = m.Encap.Type != xfrm.EncapNone
	}
	if set.NATKeepalive != nil && *set.NATKeepalive != sa.NATKeepalive && call.Dir != xfrm.SADirIn {
		m.NATKeepalive, changed = set.NATKeepalive, true
		c.needsEncap(call, "a NAT keepalive", encapsulated)
	}
	if set.MappingMaxAge != nil && *set.MappingMaxAge != sa.MTimer && call.Dir == xfrm.SADirIn {
		m.MTimer, changed = set.MappingMaxAge, true
		c.needsEncap(call, "a mapping age", encapsulated)
	}
	changed = c.overrideSelector(call, set.Selector) || changed
	return c.overrideOffload(call, set.Offload) || changed
}

func (c *computation) needsEncap(call *Call, what string, encapsulated bool) {
	if !encapsulated {
		c.plan.refuse(SlugNeedsEncap, "", fmt.Sprintf("SA %v: %s needs UDP encapsulation, which it does not have",
			call.SA.ID, what), "set encap too, or leave this out")
	}
}

// wire gives the encapsulation as an SA of the direction has it: an outbound packet goes from the local port to the
// remote one, an inbound one the other way.
func (e *EncapChange) wire(dir xfrm.SADir) xfrm.Encap {
	switch {
	case e.None:
		return xfrm.Encap{}
	case dir == xfrm.SADirIn:
		return xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: e.RemotePort, DPort: e.LocalPort}
	}
	return xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: e.LocalPort, DPort: e.RemotePort}
}

func (c *computation) overrideSelector(call *Call, set *SelectorChange) bool {
	if set == nil {
		return false
	}
	m := &call.Migration
	if set.Kind == SelectorHostToHost {
		m.Flags |= xfrm.UpdateH2HSelector
		return true
	}
	src, dst := set.Local, set.Remote
	if call.Dir == xfrm.SADirIn {
		src, dst = dst, src
	}
	sel := xfrm.SelectorFor(src, dst)
	if sel == m.NewSel {
		return false
	}
	m.NewSel = sel
	return true
}

func (c *computation) overrideOffload(call *Call, set *OffloadChange) bool {
	sa, m := &call.SA, &call.Migration
	switch {
	case set == nil:
		return false
	case set.None:
		if sa.Offload.IfIndex == 0 {
			return false
		}
		m.Flags |= xfrm.ClearOffload
		return true
	}
	for _, l := range c.inv.Links {
		if l.Name != set.Dev {
			continue
		}
		o := xfrm.Offload{IfIndex: l.Index}
		if call.Dir == xfrm.SADirIn {
			o.Flags |= xfrm.OffloadInbound
		}
		if set.Packet {
			o.Flags |= xfrm.OffloadPacket
		}
		if o == sa.Offload {
			return false
		}
		m.Offload = &o
		return true
	}
	c.plan.refuse(SlugUnknownLink, "", fmt.Sprintf("SA %v: there is no interface %q to offload to", sa.ID, set.Dev),
		"correct overrides.set.offload.dev")
	return false
}

// checkCall refuses what the kernel would do wrong without saying so.
func (c *computation) checkCall(call *Call) {
	sa, m := &call.SA, &call.Migration
	if sa.Offload.IfIndex != 0 && m.Offload == nil && m.Flags&xfrm.ClearOffload == 0 {
		c.plan.refuse(SlugOffload, "",
			fmt.Sprintf("SA %v is offloaded to interface %d, which may not serve the new address", sa.ID, sa.Offload.IfIndex),
			"say what becomes of it: overrides.set.offload: none, or {dev: ..., mode: ...}")
	}
	if m.Mark != nil && m.Target() == m.ID {
		c.plan.refuse(SlugMarkOnly, "",
			fmt.Sprintf("SA %v: a new mark at an unchanged destination makes the kernel keep two SAs", sa.ID),
			"change marks in the IKE configuration, or together with the address")
	}
}
