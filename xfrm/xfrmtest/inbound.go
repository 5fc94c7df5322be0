package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Arrival is a packet that comes in: encapsulated for an SA, or in the clear.
type Arrival struct {
	Inner   Packet
	Outer   *xfrm.SAID // destination, SPI and protocol of the outer packet; nil if it came in the clear
	Encap   uint16     // xfrm.EncapESPinUDP if the outer packet came in UDP
	Seq     uint64     // in the outer packet; 0 lets Kernel.Receive take the next that the SA expects
	Forward bool       // the inner packet is not for this host: policies of direction fwd, else in
}

// Inbound tells what would become of a packet that arrives: xfrm_input, then __xfrm_policy_check. It is either
// Accepted or Dropped. The sequence number is not checked; Kernel.Receive does.
func (s *Snapshot) Inbound(a Arrival) Verdict {
	if a.Outer == nil {
		return s.check(a, nil)
	}
	drop := func(counter string, sas ...*SA) Verdict { return Verdict{Fate: Dropped, Counter: counter, SAs: sas} }
	var sa *SA
	for _, x := range s.SAs {
		if tupleOf(&x.ID) == tupleOf(a.Outer) && x.ID.SPI != 0 && a.Inner.Mark&x.Mark.Mask == x.Mark.Value {
			sa = x
			break
		}
	}
	switch {
	case sa == nil:
		return drop("XfrmInNoStates")
	case sa.Dir == xfrm.SADirOut:
		return drop("XfrmInStateDirError", sa)
	case sa.Larval:
		return drop("XfrmAcquireError", sa)
	case sa.Encap.Type != a.Encap:
		return drop("XfrmInStateMismatch", sa)
	}
	a.Inner.Mark = sa.OutputMark.Key() | a.Inner.Mark&^sa.OutputMark.Mask
	return s.check(a, []*SA{sa})
}

// check is __xfrm_policy_check for a packet that came through the SAs.
func (s *Snapshot) check(a Arrival, via []*SA) Verdict {
	v := Verdict{Fate: Dropped, SAs: via}
	for _, sa := range via {
		if !matches(&sa.Sel, &a.Inner) {
			v.Counter = "XfrmInStateMismatch"
			return v
		}
	}
	dir := xfrm.DirIn
	if a.Forward {
		dir = xfrm.DirFwd
	}
	pols := s.stack(dir, xfrm.DirIn, &a.Inner)
	if len(pols) == 0 {
		if from(via, 0) {
			v.Counter = "XfrmInNoPols"
			return v
		}
		v.Fate = Accepted
		return v
	}
	v.Policy = pols[0]
	var templates []*xfrm.Template
	for _, pol := range pols {
		if pol.Action != xfrm.Allow {
			v.Policy, v.Counter = pol, "XfrmInPolBlock"
			return v
		}
		for i := range pol.Templates {
			templates = append(templates, &pol.Templates[i])
		}
	}
	if len(templates) >= maxDepth {
		v.Counter = "XfrmInBufferError"
		return v
	}
	at := 0
	for i := len(templates) - 1; i >= 0; i-- {
		var ok bool
		if at, ok = satisfied(templates[i], via, at, &a.Inner); !ok {
			v.Counter, v.Missing = "XfrmInTmplMismatch", templates[i]
			return v
		}
	}
	if from(via, at) {
		v.Counter = "XfrmInTmplMismatch"
		return v
	}
	v.Fate = Accepted
	return v
}

// from reports whether an SA from at on is a tunnel (secpath_has_nontransport).
func from(via []*SA, at int) bool {
	for _, sa := range via[at:] {
		if sa.Mode != xfrm.ModeTransport {
			return true
		}
	}
	return false
}

// satisfied is xfrm_policy_ok: looks for the template among the SAs that the packet came through.
func satisfied(t *xfrm.Template, via []*SA, at int, p *Packet) (int, bool) {
	start := at
	if t.Optional != 0 && t.Mode == xfrm.ModeTransport {
		return start, true
	}
	for ; at < len(via); at++ {
		if accepts(t, via[at], p) {
			return at + 1, true
		}
		if via[at].Mode != xfrm.ModeTransport {
			break
		}
	}
	// An optional template that a tunnel doesn't fit is passed over; the tunnel is then left over, which drops it.
	return start, t.Optional != 0
}

// accepts is xfrm_state_ok. Of addresses only the source is compared, and that as one of the inner packet's family:
// with IPv4 inside, the first four bytes of an IPv6 address.
func accepts(t *xfrm.Template, x *SA, p *Packet) bool {
	f := p.family()
	var anySource xfrm.Address
	return x.ID.Proto == t.Proto && (t.SPI == 0 || t.SPI == x.ID.SPI) && (t.Reqid == 0 || t.Reqid == x.Reqid) && x.Mode == t.Mode &&
		(t.AAlgos&t.EAlgos&t.CAlgos == ^uint32(0) || t.AAlgos&(1<<(x.auth&31)) != 0 || !hasSPI(t.Proto)) &&
		(x.Mode == xfrm.ModeTransport || sameAddress(t.Src, anySource, f) || sameAddress(t.Src, x.Src, f)) &&
		(p.IfID == 0 || p.IfID == x.IfID)
}
