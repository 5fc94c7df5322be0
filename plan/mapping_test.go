package plan_test

import (
	"fmt"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func TestMappingIsLongestPrefixFirst(t *testing.T) {
	for _, tc := range []struct {
		rules    []plan.Renumber
		src, dst string
		want     string
	}{
		{[]plan.Renumber{rule("192.0.2.0/24", "198.51.100.0/24")}, "192.0.2.77", "203.0.113.1", "198.51.100.77 > 203.0.113.1"},
		{[]plan.Renumber{rule("192.0.2.0/28", "198.51.100.32/28")}, "192.0.2.7", "203.0.113.1", "198.51.100.39 > 203.0.113.1"},
		{[]plan.Renumber{rule("192.0.2.0/24", "198.51.100.0/24"), rule("192.0.2.7/32", "198.51.101.9/32")}, "192.0.2.7", "192.0.2.8", "198.51.101.9 > 198.51.100.8"},
		{[]plan.Renumber{rule("0.0.0.0/0", "0.0.0.0/0"), rule("192.0.2.7/32", "198.51.101.9/32")}, "192.0.2.7", "192.0.2.8", "198.51.101.9 > 192.0.2.8"},
		{[]plan.Renumber{rule("2001:db8:10::/44", "2001:db8:20::/44")}, "2001:db8:1f:ffff::1", "2001:db8:30::1", "2001:db8:2f:ffff::1 > 2001:db8:30::1"},
		{[]plan.Renumber{rule("192.0.2.7/32", "2001:db8::7/128"), rule("203.0.113.1/32", "2001:db8::1/128")}, "192.0.2.7", "203.0.113.1", "2001:db8::7 > 2001:db8::1"},
		{[]plan.Renumber{rule("2001:db8::7/128", "192.0.2.7/32"), rule("2001:db8::1/128", "203.0.113.1/32")}, "2001:db8::7", "2001:db8::1", "192.0.2.7 > 203.0.113.1"},
	} {
		doc := ispSwap()
		doc.Renumber = tc.rules
		p := plan.Compute(doc, &plan.Inventory{SAs: []xfrm.SA{espSA(tc.src, tc.dst, 1, 1)}})
		if len(p.Groups) != 1 {
			t.Errorf("%v: %d groups, %v", tc.rules, len(p.Groups), p.Refusals)
			continue
		}
		c := &p.Groups[0].Calls[0]
		if got := fmt.Sprintf("%v > %v", c.NewSrc(), c.NewDst()); got != tc.want {
			t.Errorf("%s > %s with %v: %s, want %s", tc.src, tc.dst, tc.rules, got, tc.want)
		}
	}
}
