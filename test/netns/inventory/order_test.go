//go:build lab

package inventory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// outbound makes an SA to each destination, all with one SPI, so that they come to stand in each other's place, and a
// policy for each.
func outbound(destinations ...string) string {
	var b strings.Builder
	for i, dst := range destinations {
		fmt.Fprintf(&b, "xfrm state add src 192.0.2.1 dst %s proto esp spi 0x1001 reqid %d mode tunnel AEAD\n", dst, i+1)
		fmt.Fprintf(&b, "xfrm policy add src 10.1.0.0/24 dst 10.2.%d.0/24 dir out priority 100 "+
			"tmpl src 192.0.2.1 dst %s proto esp reqid %d mode tunnel\n", i, dst, i+1)
	}
	return b.String()
}

// TestApplyWhereSAsTakeEachOthersPlace moves SAs with one SPI to where others of them are.
func TestApplyWhereSAsTakeEachOthersPlace(t *testing.T) {
	const a, b, c, d = "203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"
	for _, tc := range []struct {
		name   string
		sas    []string
		pairs  []string
		groups int
		hops   int
	}{
		{"chain", []string{a, b, c}, []string{a, b, b, c, c, d}, 3, 0},
		{"chain, dumped the other way round", []string{c, b, a}, []string{a, b, b, c, c, d}, 3, 0},
		{"swap", []string{a, b}, []string{a, b, b, a}, 1, 1},
		{"ring of three", []string{a, b, c}, []string{a, b, b, c, c, a}, 1, 1},
		{"ring and chain", []string{a, b, c, d}, []string{a, b, b, a, c, d, d, "203.0.113.9"}, 3, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNetNS(t)
			n.ip(keys.Replace(outbound(tc.sas...)))
			hosts := make([]string, len(tc.pairs))
			for i, h := range tc.pairs {
				hosts[i] = h + "/32"
			}
			doc := document(hosts...)
			before := n.meaning()
			p := n.apply(doc)
			hops := 0
			for i := range p.Groups {
				for j := range p.Groups[i].Calls {
					if p.Groups[i].Calls[j].Hop != nil {
						hops++
					}
				}
			}
			if len(p.Groups) != tc.groups || hops != tc.hops {
				t.Errorf("got %d groups and %d hops, want %d and %d", len(p.Groups), hops, tc.groups, tc.hops)
			}
			for i, dst := range tc.sas {
				to := dst
				for k := 0; k < len(tc.pairs); k += 2 {
					if tc.pairs[k] == dst {
						to = tc.pairs[k+1]
					}
				}
				want := fmt.Sprintf("esp 0x00001001 to %s from 192.0.2.1 reqid %d ", to, i+1)
				if !strings.Contains(n.meaning(), want) {
					t.Errorf("no SA %q\n%s", want, n.meaning())
				}
			}
			n.apply(reversed(doc))
			if after := n.meaning(); after != before {
				t.Errorf("there and back is not where it was\n--- before\n%s\n--- after\n%s", before, after)
			}
		})
	}
}

// TestConflictIsRefused: the place is held by an SA that stays. Nothing may be touched.
func TestConflictIsRefused(t *testing.T) {
	n := newNetNS(t)
	n.ip(keys.Replace(outbound("203.0.113.1", "203.0.113.2")))
	p := plan.Compute(document("203.0.113.1/32", "203.0.113.2/32"), n.inventory())
	if len(p.Refusals) != 1 || p.Refusals[0].Slug != plan.SlugConflict {
		t.Errorf("refusals: %v, want %s", p.Refusals, plan.SlugConflict)
	}
}
