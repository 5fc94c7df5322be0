package recorded

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

type sa struct {
	Src          netip.Addr    `json:"src"`
	Dst          netip.Addr    `json:"dst"`
	Proto        xfrm.Proto    `json:"proto"`
	SPI          xfrm.SPI      `json:"spi"`
	Reqid        uint32        `json:"reqid,omitempty"`
	Mode         xfrm.Mode     `json:"mode"`
	Dir          xfrm.SADir    `json:"dir,omitempty"`
	Sel          *selector     `json:"sel,omitempty"`
	Mark         *xfrm.Mark    `json:"mark,omitempty"`
	OutputMark   *xfrm.Mark    `json:"outputMark,omitempty"`
	IfID         uint32        `json:"ifID,omitempty"`
	Encap        *encap        `json:"encap,omitempty"`
	Offload      *xfrm.Offload `json:"offload,omitempty"`
	MTimer       uint32        `json:"mtimer,omitempty"`
	NATKeepalive uint32        `json:"natKeepalive,omitempty"`
	CPU          *uint32       `json:"cpu,omitempty"`
	Label        string        `json:"label,omitempty"`
	Larval       bool          `json:"larval,omitempty"`
}

type encap struct {
	Type  uint16 `json:"type"`
	SPort uint16 `json:"sport"`
	DPort uint16 `json:"dport"`
}

func saFrom(x *xfrm.SA) sa {
	s := sa{
		Src: x.SrcIP(), Dst: x.DstIP(), Proto: x.ID.Proto, SPI: x.ID.SPI, Reqid: x.Reqid, Mode: x.Mode, Dir: x.Dir,
		Sel: selectorFrom(&x.Sel), Mark: some(x.Mark), OutputMark: some(x.OutputMark), IfID: x.IfID, Offload: some(x.Offload),
		MTimer: x.MTimer, NATKeepalive: x.NATKeepalive, Label: x.Label, Larval: !x.HasAlgorithm,
		Encap: some(encap{x.Encap.Type, x.Encap.SPort, x.Encap.DPort}),
	}
	if x.CPU != xfrm.AnyCPU {
		s.CPU = &x.CPU
	}
	return s
}

func (s *sa) wire() xfrm.SA {
	x := xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(s.Dst), SPI: s.SPI, Family: xfrm.FamilyOf(s.Dst), Proto: s.Proto},
		Src: xfrm.AddressFrom(s.Src), Sel: s.Sel.wire(), Limits: xfrm.NoLimits, Reqid: s.Reqid, Mode: s.Mode, Dir: s.Dir,
		Mark: value(s.Mark), OutputMark: value(s.OutputMark), IfID: s.IfID, Offload: value(s.Offload),
		MTimer: s.MTimer, NATKeepalive: s.NATKeepalive, CPU: xfrm.AnyCPU, Label: s.Label, HasAlgorithm: !s.Larval,
	}
	if e := s.Encap; e != nil {
		x.Encap = xfrm.Encap{Type: e.Type, SPort: e.SPort, DPort: e.DPort}
	}
	if s.CPU != nil {
		x.CPU = *s.CPU
	}
	return x
}

// some returns nil for the zero value, which is left out.
func some[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
