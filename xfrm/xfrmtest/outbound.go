package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Outbound tells what would become of a packet that leaves: xfrm_lookup and what it calls.
//
// It does not know the cache of SAs that each policy keeps (since Linux 6.12): on a running kernel a policy stays with
// an SA that it has used while that SA lives, where the model goes to the youngest at once.
func (s *Snapshot) Outbound(p Packet) Verdict {
	pols := s.stack(xfrm.DirOut, xfrm.DirOut, &p)
	if len(pols) == 0 {
		return Verdict{Fate: Clear}
	}
	v := Verdict{Policy: pols[0]}
	templates := 0
	for _, pol := range pols {
		if pol.Action != xfrm.Allow {
			v.Fate, v.Counter, v.Policy = Blocked, "XfrmOutPolBlock", pol
			return v
		}
		templates += len(pol.Templates)
	}
	if templates == 0 {
		return v // Clear: a bypass
	}
	if templates >= maxDepth {
		v.Fate, v.Counter = Dropped, "XfrmOutPolError"
		return v
	}
	for _, pol := range pols {
		if !s.resolve(pol, p, &v) {
			return v
		}
	}
	if len(v.SAs) != 0 {
		v.Fate = Protected
	}
	return v
}

// resolve is xfrm_tmpl_resolve_one: finds an SA for each template. Each transformation gives the next one its
// addresses.
func (s *Snapshot) resolve(pol *xfrm.Policy, p Packet, v *Verdict) bool {
	dst, src := xfrm.AddressFrom(p.Dst), xfrm.AddressFrom(p.Src)
	for i := range pol.Templates {
		t := &pol.Templates[i]
		remote, local := dst, src
		if t.Mode == xfrm.ModeTunnel || t.Mode == xfrm.ModeIPTFS || t.Mode == xfrm.ModeBEET {
			remote, local = t.Dst, t.Src // a wildcard source, which routing would choose, matches any here
		}
		sa, pending := s.find(pol, t, remote, local, &p)
		switch {
		case sa != nil && sa.Dir == xfrm.SADirIn:
			v.Fate, v.Counter = Dropped, "XfrmOutStateDirError"
			return false
		case sa != nil:
			v.SAs = append(v.SAs, sa)
			dst, src = remote, local
		case t.Optional == 0:
			v.Fate, v.Counter, v.Missing = Acquire, "XfrmOutNoStates", t
			v.Awaited = pending
			if !pending && t.SPI != 0 && s.occupied(pol, t, remote) {
				v.Fate, v.Counter = Dropped, "XfrmOutPolError" // -EEXIST: the SPI is there, on an SA that doesn't fit
			}
			return false
		}
	}
	return true
}

// find is xfrm_state_find: the best SA for a template, or whether one is being waited for.
func (s *Snapshot) find(pol *xfrm.Policy, t *xfrm.Template, remote, local xfrm.Address, p *Packet) (best *SA, pending bool) {
	for _, x := range s.SAs {
		if !s.fits(pol, t, x, remote) || (!sameAddress(x.Src, local, t.Family) && !local.IsAny() && !x.Src.IsAny()) {
			continue
		}
		if x.Larval {
			pending = true
			continue
		}
		if !matches(&x.Sel, p) || x.CPU != xfrm.AnyCPU && x.CPU != p.CPU {
			continue
		}
		if best == nil || best.CPU == xfrm.AnyCPU && x.CPU == p.CPU || best.Current.AddTime < x.Current.AddTime {
			best = x
		}
	}
	return best, pending
}

// fits compares all that xfrm_state_find compares but the source address. The reqid has to be the template's, 0 too.
func (s *Snapshot) fits(pol *xfrm.Policy, t *xfrm.Template, x *SA, remote xfrm.Address) bool {
	return x.ID.Family == t.Family && x.Reqid == t.Reqid && pol.Mark.Key()&x.Mark.Mask == x.Mark.Value && x.IfID == pol.IfID &&
		x.Flags&stateWildRecv == 0 && sameAddress(x.ID.Dst, remote, t.Family) &&
		x.Mode == t.Mode && x.ID.Proto == t.Proto && (t.SPI == 0 || t.SPI == x.ID.SPI)
}

// occupied reports whether the SA that the template names is there, but unfit.
func (s *Snapshot) occupied(pol *xfrm.Policy, t *xfrm.Template, remote xfrm.Address) bool {
	for _, x := range s.SAs {
		if x.ID.SPI == t.SPI && x.ID.Proto == t.Proto && x.ID.Family == t.Family && sameAddress(x.ID.Dst, remote, t.Family) &&
			pol.Mark.Key()&x.Mark.Mask == x.Mark.Value {
			return true
		}
	}
	return false
}
