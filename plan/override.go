package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// override applies what the plan sets besides addresses and reports whether it changes anything.
func (c *computation) override(v *move, set *Changes) (changed bool) {
	sa, m := v.sa, &v.m
	if set.Reqid != nil && *set.Reqid != sa.Reqid {
		m.NewReqid, changed = *set.Reqid, true
	}
	if set.Mark != nil && stored(*set.Mark) != stored(sa.Mark) {
		mark := stored(*set.Mark)
		m.Mark, changed = &mark, true
	}
	if set.OutputMark != nil && *set.OutputMark != sa.OutputMark {
		m.OutputMark, changed = set.OutputMark, true
	}
	if sa.ID.Proto == xfrm.ProtoESP {
		changed = c.overrideEncap(v, set.Encap) || changed
		changed = c.overrideKeepalive(v, set.NATKeepalive) || changed
		changed = c.overrideMappingAge(v, set.MappingMaxAge) || changed
	}
	changed = c.overrideSelector(v, set.Selector) || changed
	return c.overrideOffload(v, set.Offload) || changed
}

// stored is a mark as the kernel keeps it.
func stored(m xfrm.Mark) xfrm.Mark { return xfrm.Mark{Value: m.Key(), Mask: m.Mask} }

// encapsulates reports whether something is set that only an SA with UDP encapsulation has.
func (set *Changes) encapsulates() bool {
	return set.Encap != nil && !set.Encap.None ||
		set.NATKeepalive != nil && *set.NATKeepalive != 0 ||
		set.MappingMaxAge != nil && *set.MappingMaxAge != 0
}

// bundled refuses UDP encapsulation for SAs that are not ESP, unless they stand in a bundle with ESP, whose SAs have one
// reqid: there it is for the ESP SA.
func (c *computation) bundled() {
	if len(c.notESP) == 0 {
		return
	}
	esp := make(map[int32]bool) // by Child SA
	for i, v := range c.moved {
		if v != nil && v.sa.ID.Proto == xfrm.ProtoESP {
			esp[c.links.children.find(int32(i))] = true
		}
	}
	for _, i := range c.notESP {
		if sa := &c.inv.SAs[i]; !esp[c.links.children.find(i)] {
			c.refuse(SlugNotESP, sa, fmt.Sprintf("SA %v can't have UDP encapsulation, which is for ESP", sa.ID),
				"leave out overrides.set.encap, natKeepalive and mappingMaxAge for this SA")
		}
	}
}

func (c *computation) overrideEncap(v *move, set *EncapChange) bool {
	if set == nil {
		return false
	}
	if !set.None && set.LocalPort != set.RemotePort {
		c.needDirection(v, "the encapsulation's ports depend on it")
	}
	e := set.wire(v.dir)
	if !set.None && v.sa.Encap.Type == e.Type {
		e.OA = v.sa.Encap.OA // the peer's address behind its NAT, as IKE has heard it: the ports don't change it
	}
	if e == v.sa.Encap {
		return false
	}
	if v.sa.Encap.Type != xfrm.EncapNone && v.sa.Encap.Type != xfrm.EncapESPinUDP {
		c.refuse(SlugIrreversible, v.sa,
			fmt.Sprintf("SA %v: its encapsulation of type %d could not be put back if the migration had to be undone", v.sa.ID, v.sa.Encap.Type),
			"leave out set.encap: the SA keeps what it has")
	}
	v.m.Encap = &e
	return true
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

// overrideKeepalive sets the NAT keepalive of outbound SAs. Without encapsulation there is none, and removing the
// encapsulation has removed it already.
func (c *computation) overrideKeepalive(v *move, seconds *uint32) bool {
	if seconds == nil || *seconds == v.sa.NATKeepalive || v.dir == xfrm.SADirIn {
		return false
	}
	if *seconds != 0 {
		c.needEncap(v, "a NAT keepalive")
		if v.sa.Dir != xfrm.SADirOut { // __xfrm_init_state: "NAT keepalive is only supported for outbound SAs"
			c.refuse(SlugUnknownDirection, v.sa,
				fmt.Sprintf("SA %v: the kernel takes a NAT keepalive only for an SA that was installed with a direction", v.sa.ID),
				"leave out set.natKeepalive for this SA")
		}
	} else if !v.encapsulated() {
		return false
	}
	v.m.NATKeepalive = seconds
	return true
}

// overrideMappingAge sets the mapping age of inbound SAs. The kernel refuses the attribute, zero or not, without
// encapsulation.
func (c *computation) overrideMappingAge(v *move, seconds *uint32) bool {
	if seconds == nil || *seconds == v.sa.MTimer || v.dir != xfrm.SADirIn {
		return false
	}
	if *seconds != 0 {
		c.needEncap(v, "a mapping age")
	} else if !v.encapsulated() {
		return false
	}
	v.m.MTimer = seconds
	return true
}

// encapsulated reports whether the SA will be.
func (v *move) encapsulated() bool {
	if v.m.Encap != nil {
		return v.m.Encap.Type != xfrm.EncapNone
	}
	return v.sa.Encap.Type != xfrm.EncapNone
}

func (c *computation) needEncap(v *move, what string) {
	if !v.encapsulated() {
		c.refuse(SlugNeedsEncap, v.sa, fmt.Sprintf("SA %v: %s needs UDP encapsulation, which it does not have", v.sa.ID, what),
			"set encap too, or leave this out")
	}
}

func (c *computation) needDirection(v *move, why string) {
	if v.dir == xfrm.SADirUnset {
		c.refuse(SlugUnknownDirection, v.sa, fmt.Sprintf("SA %v: nothing tells its direction, and %s", v.sa.ID, why),
			"leave the override out for this SA, or give it a policy that uses it")
	}
}

func (c *computation) overrideOffload(v *move, set *OffloadChange) bool {
	sa, m := v.sa, &v.m
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
	c.needDirection(v, "the interface has to be told")
	for _, l := range c.inv.Links {
		if l.Name != set.Dev {
			continue
		}
		o := xfrm.Offload{IfIndex: l.Index}
		if v.dir == xfrm.SADirIn {
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
	c.refuse(SlugUnknownLink, v.sa, fmt.Sprintf("SA %v: there is no interface %q to offload to", sa.ID, set.Dev),
		"correct overrides.set.offload.dev")
	return false
}
