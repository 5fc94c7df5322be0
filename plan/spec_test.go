package plan_test

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// spec is what a plan without selection and overrides means: every outer address is mapped, wherever it stands. It goes
// through all rules for each.
type spec []plan.Renumber

func (s spec) addr(a netip.Addr) netip.Addr {
	longest, to := -1, a
	for _, r := range s {
		if a.IsUnspecified() || !r.From.Contains(a) || r.From.Bits() <= longest {
			continue
		}
		longest = r.From.Bits()
		net, in := r.To.Addr().AsSlice(), a.AsSlice()
		for bit := r.From.Bits(); len(net) == len(in) && bit < 8*len(in); bit++ {
			one := byte(0x80) >> (bit % 8)
			net[bit/8] = net[bit/8]&^one | in[bit/8]&one
		}
		to, _ = netip.AddrFromSlice(net)
	}
	return to
}

// apply changes the kernel in place.
func (s spec) apply(k *kernel) {
	for i := range k.sas {
		sa := &k.sas[i]
		if sa.Larval() {
			continue // completed where it was allocated
		}
		src, dst := s.addr(sa.SrcIP()), s.addr(sa.DstIP())
		sa.Src, sa.ID.Dst, sa.ID.Family = xfrm.AddressFrom(src), xfrm.AddressFrom(dst), xfrm.FamilyOf(dst)
	}
	for i := range k.policies {
		p := &k.policies[i]
		templates := append([]xfrm.Template(nil), p.Templates...)
		for j := range templates {
			t := &templates[j]
			if t.Dst.IsAny() && j > 0 { // goes with the tunnel in front of it
				t.Family = templates[0].Family
				continue
			}
			src, dst := s.addr(t.SrcIP()), s.addr(t.DstIP())
			t.Src, t.Dst, t.Family = xfrm.AddressFrom(src), xfrm.AddressFrom(dst), xfrm.FamilyOf(dst)
		}
		p.Templates = templates
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }
