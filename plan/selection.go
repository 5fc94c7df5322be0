package plan

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// selected reports whether the document's selection takes the SA.
func (s *Select) selected(sa *xfrm.SA, dir xfrm.SADir) bool {
	in := len(s.Include) == 0
	for i := range s.Include {
		in = in || s.Include[i].holds(sa, dir)
	}
	for i := range s.Exclude {
		in = in && !s.Exclude[i].holds(sa, dir)
	}
	return in
}

// holds reports whether every condition holds for the SA. Where nothing tells the direction, the local address is
// taken to be the source.
func (m *Match) holds(sa *xfrm.SA, dir xfrm.SADir) bool {
	local, remote := sa.SrcIP(), sa.DstIP()
	if dir == xfrm.SADirIn {
		local, remote = remote, local
	}
	return equalOrUnset(m.Reqid, sa.Reqid) &&
		equalOrUnset(m.IfID, sa.IfID) &&
		equalOrUnset(m.Mark, sa.Mark) &&
		equalOrUnset(m.Proto, sa.ID.Proto) &&
		equalOrUnset(m.Mode, sa.Mode) &&
		equalOrUnset(m.SPI, sa.ID.SPI) &&
		inOrUnset(m.Local, local) &&
		inOrUnset(m.Remote, remote)
}

func equalOrUnset[T comparable](want *T, got T) bool { return want == nil || *want == got }

func inOrUnset(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

// changes collects what the overrides set for the SA; a later entry wins field by field.
func (d *Document) changes(sa *xfrm.SA, dir xfrm.SADir) (c Changes) {
	for i := range d.Overrides {
		o := &d.Overrides[i]
		if !o.Match.holds(sa, dir) {
			continue
		}
		setIf(&c.Reqid, o.Set.Reqid)
		setIf(&c.Encap, o.Set.Encap)
		setIf(&c.Selector, o.Set.Selector)
		setIf(&c.Mark, o.Set.Mark)
		setIf(&c.OutputMark, o.Set.OutputMark)
		setIf(&c.NATKeepalive, o.Set.NATKeepalive)
		setIf(&c.MappingMaxAge, o.Set.MappingMaxAge)
		setIf(&c.Offload, o.Set.Offload)
	}
	return c
}

func setIf[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}
