package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestDriftNamesTheOrderOfAge: two policies of one priority that overlap have changed places since the plan was saved.
// Nothing else tells them from what they were.
func TestDriftNamesTheOrderOfAge(t *testing.T) {
	out := espSA("192.0.2.1", "203.0.113.1", 1, 7)
	narrow, wide := outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/16", "10.2.0.0/16", out)
	aside := outPolicy(3, "10.1.0.0/24", "10.9.0.0/24", out)
	fingerprint := func(youngestFirst ...xfrm.Policy) plan.Fingerprint {
		p := plan.Compute(ispSwap(), &plan.Inventory{SAs: []xfrm.SA{out}, Policies: youngestFirst, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		if len(p.Refusals) != 0 || len(p.Groups) != 1 {
			t.Fatalf("%d groups, refused for %v", len(p.Groups), p.Refusals)
		}
		return p.Fingerprint()
	}
	was := fingerprint(wide, narrow, aside)
	if drift := was.Drift(fingerprint(wide, narrow, aside)); len(drift) != 0 {
		t.Errorf("the same again: %q", drift)
	}
	if drift := was.Drift(fingerprint(aside, wide, narrow)); len(drift) != 0 {
		t.Errorf("a policy for other packets became the youngest, which changes nothing: %q", drift)
	}
	drift := was.Drift(fingerprint(narrow, wide, aside))
	if len(drift) != 2 || slices.ContainsFunc(drift, func(d string) bool {
		return !strings.HasPrefix(d, "the order of age around policy out") || !strings.HasSuffix(d, "was changed")
	}) {
		t.Errorf("the policies changed places: drift %q, want the order of age around each of them", drift)
	}
}

// TestDriftNamesEveryChange: what a plan rests on, and what it makes of it, changes in one thing at a time.
func TestDriftNamesEveryChange(t *testing.T) {
	const (
		theSA     = "SA esp 0x00000001 to 203.0.113.1"
		thePolicy = "policy out 10.1.0.0/24 -> 10.2.0.0/24"
		changed   = " was changed"
		gone      = " is gone, was re-keyed or no longer belongs to the plan"
		added     = " was not there when the plan was saved"
		otherwise = " is as it was, but the plan would now make something else of it: an address, an interface or another SA or policy has changed"
	)
	sa := func(change func(*xfrm.SA)) func(*plan.Inventory) {
		return func(inv *plan.Inventory) { change(&inv.SAs[0]) }
	}
	policy := func(change func(*xfrm.Policy)) func(*plan.Inventory) {
		return func(inv *plan.Inventory) { change(&inv.Policies[0]) }
	}
	for _, tc := range []struct {
		name   string
		change func(*plan.Inventory)
		want   []string
	}{
		{"nothing", func(*plan.Inventory) {}, nil},
		{"an SA's counters", sa(func(sa *xfrm.SA) { sa.Current.Packets, sa.Replay.Sent, sa.LastUsed = 1000, 1000, 1 }), nil},
		{"a policy's index and counters", policy(func(p *xfrm.Policy) { p.Index, p.Current.AddTime = 9<<3|1, 1 }), nil},
		{"an SA's direction", sa(func(sa *xfrm.SA) { sa.Dir = xfrm.SADirOut }), []string{theSA + changed}},
		{"an SA's output mark", sa(func(sa *xfrm.SA) { sa.OutputMark = xfrm.Mark{Value: 1, Mask: 1} }), []string{theSA + changed}},
		{"an SA's CPU", sa(func(sa *xfrm.SA) { sa.CPU = 1 }), []string{theSA + changed}},
		{"an SA's label", sa(func(sa *xfrm.SA) { sa.Label = "label" }), []string{theSA + changed}},
		{"an SA re-keyed", sa(func(sa *xfrm.SA) { sa.ID.SPI = 5 }), []string{theSA + gone, "SA esp 0x00000005 to 203.0.113.1" + added}},
		{"an SA more", func(inv *plan.Inventory) { inv.SAs = append(inv.SAs, espSA("192.0.2.1", "203.0.113.1", 5, 7)) },
			[]string{"SA esp 0x00000005 to 203.0.113.1" + added}},
		{"a policy's priority", policy(func(p *xfrm.Policy) { p.Priority = 99 }), []string{thePolicy + changed}},
		{"a policy's limits", policy(func(p *xfrm.Policy) { p.Limits.HardAdd = 99 }), []string{thePolicy + changed}},
		{"a policy's label", policy(func(p *xfrm.Policy) { p.Label = "label" }), []string{thePolicy + gone, thePolicy + " label label" + added}},
		{"a policy gone", func(inv *plan.Inventory) { inv.Policies = nil }, []string{thePolicy + gone}},
		{"a policy more", func(inv *plan.Inventory) {
			inv.Policies = append(inv.Policies, outPolicy(2, "10.1.0.0/24", "10.3.0.0/24", inv.SAs[0]))
		}, []string{"policy out 10.1.0.0/24 -> 10.3.0.0/24" + added}},
		{"an interface has another number", func(inv *plan.Inventory) { inv.Links[0].Index = 7 }, []string{theSA + otherwise}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fingerprint := func(change func(*plan.Inventory)) plan.Fingerprint {
				out := espSA("192.0.2.1", "203.0.113.1", 1, 7)
				inv := &plan.Inventory{
					SAs: []xfrm.SA{out}, Policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)},
					Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Links: []plan.Link{{Name: "eth0", Index: 3}},
				}
				change(inv)
				doc := ispSwap()
				doc.Overrides = []plan.Override{{Set: plan.Changes{Offload: &plan.OffloadChange{Dev: "eth0"}}}}
				return plan.Compute(doc, inv).Fingerprint()
			}
			got := fingerprint(func(*plan.Inventory) {}).Drift(fingerprint(tc.change))
			slices.Sort(tc.want)
			if !slices.Equal(got, tc.want) {
				t.Errorf("drift\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestDriftNamesAnotherDirection: nothing but the addresses tells which end of an SA is ours, and its ports and what is
// checked before go by that.
func TestDriftNamesAnotherDirection(t *testing.T) {
	sa := espSA("192.0.2.1", "203.0.113.1", 1, 7)
	for name, set := range map[string]plan.Changes{
		"ports":     {Encap: &plan.EncapChange{LocalPort: 4500, RemotePort: 1024}},
		"addresses": {},
	} {
		doc := ispSwap()
		doc.Overrides = []plan.Override{{Set: set}}
		of := func(address string) plan.Fingerprint {
			return plan.Compute(doc, &plan.Inventory{SAs: []xfrm.SA{sa}, Addresses: []netip.Addr{netip.MustParseAddr(address)}}).Fingerprint()
		}
		drift := of("192.0.2.1").Drift(of("203.0.113.1"))
		if len(drift) != 1 || !strings.HasPrefix(drift[0], "SA esp 0x00000001 to 203.0.113.1 is as it was, but") {
			t.Errorf("%s: the host has the other end's address: drift %q", name, drift)
		}
	}
}

// TestDriftNamesAnotherHop: two SAs change places, and where one of them was to step aside to somebody else's SA is now.
func TestDriftNamesAnotherHop(t *testing.T) {
	doc := ispSwap()
	doc.Renumber = []plan.Renumber{rule("203.0.113.1/32", "203.0.113.2/32"), rule("203.0.113.2/32", "203.0.113.1/32")}
	sas := []xfrm.SA{espSA("192.0.2.1", "203.0.113.1", 1, 7), espSA("192.0.2.1", "203.0.113.2", 1, 8)}
	of := func(sas ...xfrm.SA) plan.Fingerprint {
		p := plan.Compute(doc, &plan.Inventory{SAs: sas, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		if len(p.Refusals) != 0 {
			t.Fatal(p.Refusals)
		}
		return p.Fingerprint()
	}
	drift := of(sas...).Drift(of(append(sas, espSA("192.0.2.1", "240.0.0.1", 1, 9))...))
	if len(drift) != 1 || !strings.Contains(drift[0], "is as it was, but") {
		t.Errorf("drift %q, want the SA that steps aside", drift)
	}
}

// TestDriftTellsLabelledPoliciesApart: two policies of one selector differ in their labels, and one of them goes.
func TestDriftTellsLabelledPoliciesApart(t *testing.T) {
	out := espSA("192.0.2.1", "203.0.113.1", 1, 7)
	one, two := outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/24", "10.2.0.0/24", out)
	one.Label, two.Label = "\x0c\x00\x08\x00\x01\x01\x04\x00one\x00", "\x0c\x00\x08\x00\x01\x01\x04\x00two\x00"
	of := func(policies ...xfrm.Policy) plan.Fingerprint {
		return plan.Compute(ispSwap(), &plan.Inventory{SAs: []xfrm.SA{out}, Policies: policies}).Fingerprint()
	}
	drift := of(two, one).Drift(of(two))
	if !slices.ContainsFunc(drift, func(d string) bool { return strings.Contains(d, "label one is gone") }) {
		t.Errorf("drift %q, want the policy of the label one", drift)
	}
}
