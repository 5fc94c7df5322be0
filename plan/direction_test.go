package plan_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestWildcardTemplatesDoNotTellTheDirection: inbound policies often take SAs from any source, and with it the outbound
// SA of their reqid. What is known better counts first, in whichever order the policies are dumped.
func TestWildcardTemplatesDoNotTellTheDirection(t *testing.T) {
	const local, remote = "192.0.2.1", "203.0.113.1"
	out, in := espSA(local, remote, 1, 7), espSA(remote, local, 2, 7)
	outward := outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)
	inbound := func(dir xfrm.Dir, src, dst xfrm.Address, reqid uint32) xfrm.Policy {
		p := outPolicy(2, "10.2.0.0/24", "10.1.0.0/24", in)
		p.Dir = dir
		p.Templates[0].Src, p.Templates[0].Dst, p.Templates[0].Reqid = src, dst, reqid
		return p
	}
	var anyone xfrm.Address
	assigned := addrs(local)
	for name, tc := range map[string]struct {
		policies  []xfrm.Policy
		addresses []netip.Addr
		want      [2]xfrm.SADir // of out and in
	}{
		"from any source to this host":          {[]xfrm.Policy{inbound(xfrm.DirIn, anyone, in.ID.Dst, 7), outward}, assigned, [2]xfrm.SADir{xfrm.SADirOut, xfrm.SADirIn}},
		"the same, the address not assigned":    {[]xfrm.Policy{inbound(xfrm.DirIn, anyone, in.ID.Dst, 7), outward}, nil, [2]xfrm.SADir{xfrm.SADirOut, xfrm.SADirIn}},
		"between any, beside an outbound one":   {[]xfrm.Policy{inbound(xfrm.DirFwd, anyone, anyone, 0), outward}, nil, [2]xfrm.SADir{xfrm.SADirOut, xfrm.SADirIn}},
		"between any, where addresses tell":     {[]xfrm.Policy{inbound(xfrm.DirFwd, anyone, anyone, 0)}, assigned, [2]xfrm.SADir{xfrm.SADirOut, xfrm.SADirIn}},
		"between any, and nothing better":       {[]xfrm.Policy{inbound(xfrm.DirFwd, anyone, anyone, 0)}, nil, [2]xfrm.SADir{xfrm.SADirIn, xfrm.SADirIn}},
		"between any, and a way out of its own": {[]xfrm.Policy{inbound(xfrm.DirIn, anyone, anyone, 7), inbound(xfrm.DirOut, anyone, anyone, 7)}, nil, [2]xfrm.SADir{}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				slices.Reverse(tc.policies)
				p := plan.Compute(ispSwap(), &plan.Inventory{SAs: []xfrm.SA{out, in}, Policies: tc.policies, Addresses: tc.addresses})
				if len(p.Refusals) != 0 {
					t.Error(p.Refusals)
				}
				var got [2]xfrm.SADir
				for _, g := range p.Groups {
					for _, c := range g.Calls {
						got[c.SA.ID.SPI-1] = c.Dir
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestWildcardSourcesDoNotJoinChildSAs: inbound policies that take SAs of any reqid and source, to one host.
func TestWildcardSourcesDoNotJoinChildSAs(t *testing.T) {
	inv := &plan.Inventory{Addresses: addrs("192.0.2.1")}
	for i, remote := range []string{"203.0.113.1", "203.0.113.2"} {
		inv.SAs = append(inv.SAs, espSA("192.0.2.1", remote, xfrm.SPI(1+i), uint32(1+i)), espSA(remote, "192.0.2.1", xfrm.SPI(3+i), uint32(1+i)))
	}
	p := outPolicy(1, "10.2.0.0/16", "10.1.0.0/24", inv.SAs[1])
	p.Dir, p.Templates[0].Src, p.Templates[0].Reqid = xfrm.DirIn, xfrm.Address{}, 0
	inv.Policies = []xfrm.Policy{p}
	doc := ispSwap()
	doc.Renumber = []plan.Renumber{rule("203.0.113.0/24", "198.51.100.0/24")}
	doc.Select.Include = []plan.Match{{Remote: netip.MustParsePrefix("203.0.113.1/32")}}
	if got := plan.Compute(doc, inv); len(got.Refusals) != 0 || got.Counts().Calls != 2 {
		t.Errorf("%d calls, refused for %v; want the two SAs to one peer moved", got.Counts().Calls, got.Refusals)
	}
}
