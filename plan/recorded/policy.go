package recorded

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

type policy struct {
	Dir       xfrm.Dir        `json:"dir"`
	Sel       *selector       `json:"sel"`
	Priority  uint32          `json:"priority"`
	Index     uint32          `json:"index"`
	Action    xfrm.Action     `json:"action,omitempty"`
	Flags     uint8           `json:"flags,omitempty"`
	HardAdd   uint64          `json:"hardAdd,omitempty"`
	Mark      *xfrm.Mark      `json:"mark,omitempty"`
	IfID      uint32          `json:"ifID,omitempty"`
	Type      xfrm.PolicyType `json:"type,omitempty"`
	Label     string          `json:"label,omitempty"`
	Templates []template      `json:"templates,omitempty"`
}

type template struct {
	Src      netip.Addr `json:"src"`
	Dst      netip.Addr `json:"dst"`
	Proto    xfrm.Proto `json:"proto"`
	SPI      xfrm.SPI   `json:"spi,omitempty"`
	Reqid    uint32     `json:"reqid,omitempty"`
	Mode     xfrm.Mode  `json:"mode"`
	Optional uint8      `json:"optional,omitempty"`
}

type selector struct {
	Src     netip.Prefix `json:"src"`
	Dst     netip.Prefix `json:"dst"`
	Proto   uint8        `json:"proto,omitempty"`
	Ports   *ports       `json:"ports,omitempty"`
	IfIndex int32        `json:"ifIndex,omitempty"`
	User    uint32       `json:"user,omitempty"`
}

type ports struct{ Src, SrcMask, Dst, DstMask uint16 }

// selectorFrom returns nil for a selector of any family.
func selectorFrom(x *xfrm.Selector) *selector {
	if x.Family == xfrm.FamilyUnspec {
		return nil
	}
	return &selector{
		Src: x.SrcPrefix(), Dst: x.DstPrefix(), Proto: x.Proto, IfIndex: x.IfIndex, User: x.User,
		Ports: some(ports{x.SPort, x.SPortMask, x.DPort, x.DPortMask}),
	}
}

func (s *selector) wire() (x xfrm.Selector) {
	if s == nil {
		return x
	}
	x = xfrm.SelectorFor(s.Src, s.Dst)
	p := value(s.Ports)
	x.Proto, x.IfIndex, x.User = s.Proto, s.IfIndex, s.User
	x.SPort, x.SPortMask, x.DPort, x.DPortMask = p.Src, p.SrcMask, p.Dst, p.DstMask
	return x
}

func policyFrom(x *xfrm.Policy) policy {
	p := policy{
		Dir: x.Dir, Sel: selectorFrom(&x.Sel), Priority: x.Priority, Index: x.Index, Action: x.Action, Flags: x.Flags,
		HardAdd: x.Limits.HardAdd, Mark: some(x.Mark), IfID: x.IfID, Type: x.Type, Label: x.Label,
	}
	for i := range x.Templates {
		t := &x.Templates[i]
		p.Templates = append(p.Templates, template{t.SrcIP(), t.DstIP(), t.Proto, t.SPI, t.Reqid, t.Mode, t.Optional})
	}
	return p
}

func (p *policy) wire() xfrm.Policy {
	x := xfrm.Policy{
		Sel: p.Sel.wire(), Limits: xfrm.NoLimits, Priority: p.Priority, Index: p.Index, Dir: p.Dir, Action: p.Action, Flags: p.Flags,
		Mark: value(p.Mark), IfID: p.IfID, Type: p.Type, Label: p.Label,
	}
	x.Limits.HardAdd = p.HardAdd
	const all = ^uint32(0)
	for _, t := range p.Templates {
		x.Templates = append(x.Templates, xfrm.Template{
			Dst: xfrm.AddressFrom(t.Dst), SPI: t.SPI, Proto: t.Proto, Family: xfrm.FamilyOf(t.Dst), Src: xfrm.AddressFrom(t.Src),
			Reqid: t.Reqid, Mode: t.Mode, Optional: t.Optional, AAlgos: all, EAlgos: all, CAlgos: all,
		})
	}
	return x
}
