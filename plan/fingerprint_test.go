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
