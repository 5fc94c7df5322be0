package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestOrder moves SAs with one SPI between the addresses a to f of a peer, each SA a Child SA of its own.
func TestOrder(t *testing.T) {
	at := func(letter byte) string { return fmt.Sprintf("203.0.113.%d", letter-'a'+1) }
	for _, tc := range []struct {
		name  string
		sas   string // where SAs are
		moves string // from and to, in pairs
		want  []string
	}{
		{"nobody in the way", "ab", "ac bd", []string{"a>c", "b>d"}},
		{"a chain begins at its end", "abc", "ab bc cd", []string{"c>d", "b>c after 0", "a>b after 1"}},
		{"whatever is dumped first", "cba", "ab bc cd", []string{"c>d", "b>c after 0", "a>b after 1"}},
		{"a swap is one group, with a hop", "ab", "ab ba", []string{"b>a a>b hop"}},
		{"a ring is one group, with one hop", "abc", "ab bc ca", []string{"c>a b>c a>b hop"}},
		{"two rings", "abcd", "ab ba cd dc", []string{"b>a a>b hop", "d>c c>d hop"}},
		{"a ring and a chain", "abde", "ab ba de ef", []string{"b>a a>b hop", "e>f", "d>e after 1"}},
		{"one is not there, and so nobody waits", "ac", "ab bc cd", []string{"a>b", "c>d"}},
		{"the end of a chain stays", "abc", "ab bc", []string{"b>c", "a>b after 0", "refused target-occupied"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := ispSwap()
			doc.Renumber = nil
			for _, m := range strings.Fields(tc.moves) {
				doc.Renumber = append(doc.Renumber, rule(at(m[0])+"/32", at(m[1])+"/32"))
			}
			inv := new(plan.Inventory)
			for i := range tc.sas {
				inv.SAs = append(inv.SAs, espSA("192.0.2.1", at(tc.sas[i]), 0x1001, uint32(tc.sas[i]), func(sa *xfrm.SA) { sa.Dir = xfrm.SADirOut }))
			}
			p := plan.Compute(doc, inv)
			var got []string
			letter := func(a xfrm.Address) byte { return a[3] - 1 + 'a' }
			for i := range p.Groups {
				var line []string
				for j := range p.Groups[i].Calls {
					c := &p.Groups[i].Calls[j]
					line = append(line, fmt.Sprintf("%c>%c", letter(c.SA.ID.Dst), letter(c.Migration.NewDst)))
					if c.Hop != nil {
						line = append(line, "hop")
					}
				}
				for _, before := range p.Groups[i].After {
					line = append(line, fmt.Sprintf("after %d", before))
				}
				got = append(got, strings.Join(line, " "))
			}
			for _, r := range p.Refusals {
				got = append(got, "refused "+string(r.Slug))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(p.Refusals) == 0 {
				if err := kernelOf(inv).apply(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestHopsAreFree: two rings of one SPI hop to places of their own, and not to one that an SA has.
func TestHopsAreFree(t *testing.T) {
	doc := ispSwap()
	doc.Renumber = []plan.Renumber{rule("203.0.113.1/32", "203.0.113.2/32"), rule("203.0.113.2/32", "203.0.113.1/32"),
		rule("203.0.113.3/32", "203.0.113.4/32"), rule("203.0.113.4/32", "203.0.113.3/32")}
	inv := &plan.Inventory{SAs: []xfrm.SA{espSA("192.0.2.1", "240.0.0.1", 1, 9)}}
	for i := range 4 {
		inv.SAs = append(inv.SAs, espSA("192.0.2.1", fmt.Sprintf("203.0.113.%d", i+1), 1, uint32(i+1)))
	}
	p := plan.Compute(doc, inv)
	var got []string
	for i := range p.Groups {
		for j := range p.Groups[i].Calls {
			if h := p.Groups[i].Calls[j].Hop; h != nil {
				got = append(got, h.DstIP().String())
			}
		}
	}
	if diff := cmp.Diff([]string{"240.0.0.2", "240.0.0.3"}, got); diff != "" {
		t.Errorf("hops -want +got:\n%s", diff)
	}
}
