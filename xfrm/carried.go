package xfrm

// CarriedBy reports whether sa has what m gives it: addresses, reqid, selector and every attribute that m names.
func (m *Migration) CarriedBy(sa *SA) bool {
	encapsulated := sa.Encap.Type != EncapNone
	switch {
	case sa.ID != m.Target(), sa.Src != m.NewSrc, sa.Reqid != m.NewReqid:
		return false
	case m.Flags&UpdateH2HSelector == 0 && sa.Sel != m.NewSel:
		return false
	case m.Flags&UpdateH2HSelector != 0 && (sa.Sel.Dst != m.NewDst || sa.Sel.Src != m.NewSrc):
		return false
	case m.Encap != nil && m.Encap.Type == EncapNone && encapsulated,
		m.Encap != nil && m.Encap.Type != EncapNone && *m.Encap != sa.Encap:
		return false
	case m.OutputMark != nil && *m.OutputMark != sa.OutputMark:
		return false
	case m.NATKeepalive != nil && encapsulated && *m.NATKeepalive != sa.NATKeepalive,
		m.MTimer != nil && encapsulated && *m.MTimer != sa.MTimer:
		return false
	case m.Flags&ClearOffload != 0 && sa.Offload.IfIndex != 0,
		m.Offload != nil && m.Offload.IfIndex != sa.Offload.IfIndex:
		return false
	}
	return true
}
