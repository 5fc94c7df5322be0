package plan_test

import (
	"net/netip"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestTrapsInTransportModeFollow: policies between two hosts that no SA satisfies yet, whose templates have no addresses,
// go to the new ones with their selectors, to another family too.
func TestTrapsInTransportModeFollow(t *testing.T) {
	const local, remote = "192.0.2.1", "203.0.113.1"
	trap := func(dir xfrm.Dir, src, dst string, index uint32) xfrm.Policy {
		p := outPolicy(index, src, dst, espSA(local, remote, 0, 7))
		p.Dir, p.Index = dir, index<<3|uint32(dir)
		p.Templates[0].Src, p.Templates[0].Dst, p.Templates[0].Mode = xfrm.Address{}, xfrm.Address{}, xfrm.ModeTransport
		return p
	}
	inv := &plan.Inventory{Policies: []xfrm.Policy{
		trap(xfrm.DirIn, remote+"/32", local+"/32", 2), trap(xfrm.DirOut, local+"/32", remote+"/32", 1),
	}}
	for name, tc := range map[string]struct {
		rules    func(*plan.Document)
		src, dst string
		family   xfrm.Family
	}{
		"IPv4":    {rules(rule(local+"/32", "198.51.100.1/32")), "198.51.100.1/32", remote + "/32", xfrm.FamilyIPv4},
		"to IPv6": {toIPv6, "2001:db8:20::1/128", "2001:db8:30::1/128", xfrm.FamilyIPv6},
	} {
		t.Run(name, func(t *testing.T) {
			doc := ispSwap()
			hostToHost(doc)
			doc.Overrides[0].Set.Reqid = ptr(uint32(70))
			tc.rules(doc)
			p := plan.Compute(doc, inv)
			if len(p.Refusals) != 0 || len(p.Groups) != 1 || len(p.Groups[0].Policies) != 2 {
				t.Fatalf("%+v, refused for %v", p.Groups, p.Refusals)
			}
			want := xfrm.SelectorFor(netip.MustParsePrefix(tc.src), netip.MustParsePrefix(tc.dst))
			if g := &p.Groups[0]; g.Local != netip.MustParseAddr(local) || g.Remote != netip.MustParseAddr(remote) {
				t.Errorf("the group is from %v to %v", g.Local, g.Remote)
			}
			for _, pc := range p.Groups[0].Policies {
				got, tmpl := pc.New.Sel, pc.New.Templates[0]
				if pc.New.Dir == xfrm.DirIn {
					got = got.Reversed()
				}
				if got != want {
					t.Errorf("%v: selector %v, want %v", pc.New.Dir, got, want)
				}
				if !tmpl.Src.IsAny() || !tmpl.Dst.IsAny() || tmpl.Family != tc.family || tmpl.Reqid != 70 {
					t.Errorf("%v: template %v of family %v", pc.New.Dir, tmpl, tmpl.Family)
				}
			}
		})
	}
}
