package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestPortsKeepTheOriginalAddress: set.encap says ports. What IKE has heard of the peer's address behind its NAT stays with an SA that
// is encapsulated already, and an SA that has these ports already keeps all of its encapsulation.
func TestPortsKeepTheOriginalAddress(t *testing.T) {
	behind := xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500, OA: xfrm.AddressFrom(netip.MustParseAddr("10.9.9.9"))}
	moved := behind
	moved.SPort, moved.DPort = 4501, 4501
	for name, tc := range map[string]struct {
		has  xfrm.Encap
		port uint16
		want *xfrm.Encap
	}{
		"the same ports": {behind, 4500, nil},
		"other ports":    {behind, 4501, &moved},
		"none before":    {xfrm.Encap{}, 4500, &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}},
	} {
		t.Run(name, func(t *testing.T) {
			doc := ispSwap()
			overriding(plan.Changes{Encap: &plan.EncapChange{LocalPort: tc.port, RemotePort: tc.port}})(doc)
			p := plan.Compute(doc, &plan.Inventory{SAs: []xfrm.SA{espSA("192.0.2.1", "203.0.113.9", 1, 7, func(sa *xfrm.SA) { sa.Encap, sa.Dir = tc.has, xfrm.SADirOut })}})
			if len(p.Groups) != 1 || len(p.Groups[0].Calls) != 1 {
				t.Fatalf("%d groups, %v", len(p.Groups), p.Refusals)
			}
			if diff := cmp.Diff(tc.want, p.Groups[0].Calls[0].Migration.Encap); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTemplatesFollowTheReqid: outbound the kernel compares a template's reqid with the SA's, 0 too. Inbound 0 takes any.
func TestTemplatesFollowTheReqid(t *testing.T) {
	const local, remote = "192.0.2.1", "203.0.113.1"
	for name, tc := range map[string]struct {
		reqid uint32 // of the SAs and templates
		sas   bool
		in    uint32 // what becomes of the inbound template's
	}{
		"with a reqid":             {17, true, 1017},
		"without":                  {0, true, 0},
		"with a reqid, but no SAs": {17, false, 1017},
		"without, and no SAs":      {0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out, in := espSA(local, remote, 1, tc.reqid), espSA(remote, local, 2, tc.reqid)
			back := outPolicy(2, "10.2.0.0/24", "10.1.0.0/24", in)
			back.Dir = xfrm.DirIn
			inv := &plan.Inventory{Policies: []xfrm.Policy{back, outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)}}
			if tc.sas {
				inv.SAs = []xfrm.SA{out, in}
			}
			doc := ispSwap()
			overriding(plan.Changes{Reqid: ptr(uint32(1017))})(doc)
			p := plan.Compute(doc, inv)
			if len(p.Refusals) != 0 {
				t.Fatal(p.Refusals)
			}
			got := map[xfrm.Dir]uint32{}
			for _, g := range p.Groups {
				for _, pc := range g.Policies {
					got[pc.Old.Dir] = pc.New.Templates[0].Reqid
				}
			}
			if diff := cmp.Diff(map[xfrm.Dir]uint32{xfrm.DirOut: 1017, xfrm.DirIn: tc.in}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLaterOverrideKeepsTheSelector: keep takes back what an earlier entry sets for more SAs.
func TestLaterOverrideKeepsTheSelector(t *testing.T) {
	hosts := xfrm.SelectorFor(netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("203.0.113.9/32"))
	doc := ispSwap()
	hostToHost(doc)
	doc.Overrides = append(doc.Overrides, plan.Override{
		Match: plan.Match{SPI: ptr(xfrm.SPI(2))}, Set: plan.Changes{Selector: &plan.SelectorChange{Kind: plan.SelectorKeep}},
	})
	between := func(sa *xfrm.SA) { sa.Sel = hosts }
	p := plan.Compute(doc, &plan.Inventory{SAs: []xfrm.SA{espSA("192.0.2.1", "203.0.113.9", 1, 7, between), espSA("192.0.2.1", "203.0.113.9", 2, 8, between)}})
	got := map[xfrm.SPI]bool{}
	for _, g := range p.Groups {
		got[g.Calls[0].SA.ID.SPI] = g.Calls[0].Migration.NewSel == hosts
	}
	if diff := cmp.Diff(map[xfrm.SPI]bool{1: false, 2: true}, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}
