package plan_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestSelectionAndOverridesByWhatTheyName: entries that name a reqid, an SPI, both or neither, and overrides of which a
// later one wins whatever it names.
func TestSelectionAndOverridesByWhatTheyName(t *testing.T) {
	inv := &plan.Inventory{}
	for i := range uint32(6) {
		inv.SAs = append(inv.SAs, espSA("192.0.2.1", "203.0.113.1", xfrm.SPI(i+1), i+11))
	}
	reqid := func(n uint32) plan.Match { return plan.Match{Reqid: &n} }
	spi := func(n xfrm.SPI) plan.Match { return plan.Match{SPI: &n} }
	both := func(n xfrm.SPI, r uint32) plan.Match { return plan.Match{SPI: &n, Reqid: &r} }
	remote := plan.Match{Remote: netip.MustParsePrefix("203.0.113.1/32")}
	mark := func(m plan.Match, value uint32) plan.Override {
		return plan.Override{Match: m, Set: plan.Changes{OutputMark: &xfrm.Mark{Value: value, Mask: 0xff}}}
	}
	for _, tc := range []struct {
		name             string
		include, exclude []plan.Match
		overrides        []plan.Override
		want             map[xfrm.SPI]uint32 // the output marks of the SAs that move
	}{
		{"none", nil, nil, nil, map[xfrm.SPI]uint32{1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0}},
		{"included by each", []plan.Match{reqid(11), spi(2), both(3, 13), both(4, 99)}, nil, nil, map[xfrm.SPI]uint32{1: 0, 2: 0, 3: 0}},
		{"excluded by each", nil, []plan.Match{reqid(11), spi(2), both(3, 13), both(4, 99)}, nil, map[xfrm.SPI]uint32{4: 0, 5: 0, 6: 0}},
		{"excluded again", []plan.Match{remote}, []plan.Match{remote}, nil, map[xfrm.SPI]uint32{}},
		{"the later override wins", []plan.Match{reqid(11), reqid(12), reqid(13)}, nil,
			[]plan.Override{mark(spi(1), 1), mark(reqid(11), 2), mark(reqid(12), 3), mark(spi(2), 4), mark(spi(3), 5), mark(plan.Match{}, 6), mark(reqid(12), 7)},
			map[xfrm.SPI]uint32{1: 6, 2: 7, 3: 6}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := ispSwap()
			doc.Select, doc.Overrides = plan.Select{Include: tc.include, Exclude: tc.exclude}, tc.overrides
			got := map[xfrm.SPI]uint32{}
			for _, g := range plan.Compute(doc, inv).Groups {
				for _, c := range g.Calls {
					got[c.SA.ID.SPI] = 0
					if m := c.Migration.OutputMark; m != nil {
						got[c.SA.ID.SPI] = m.Value
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLongSelections: a list of every other reqid of a large hub costs no more than a short one. Each entry tried for each
// SA took 17 seconds.
func TestLongSelections(t *testing.T) {
	inv, doc := hub(20000), ispSwap()
	for i := uint32(1); i <= 20000; i += 2 {
		doc.Select.Include = append(doc.Select.Include, plan.Match{Reqid: &i})
		doc.Overrides = append(doc.Overrides, plan.Override{Match: plan.Match{Reqid: &i}, Set: plan.Changes{OutputMark: &xfrm.Mark{Value: i, Mask: ^uint32(0)}}})
	}
	begin := time.Now()
	p := plan.Compute(doc, inv)
	if took := time.Since(begin); len(p.Groups) != 10000 || len(p.Refusals) != 0 || took > 3*time.Second {
		t.Errorf("%d groups, %d refusals, after %v", len(p.Groups), len(p.Refusals), took)
	}
}
