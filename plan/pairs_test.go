package plan_test

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestChildSAsOfOneReqid: SAs of one reqid between the same hosts are one Child SA, unless if_ids or marks that both
// directions have tell several apart. The plan takes those of if_id 4 or mark 4.
func TestChildSAsOfOneReqid(t *testing.T) {
	type kind func(*xfrm.SA)
	ofIf := func(id uint32) kind { return func(sa *xfrm.SA) { sa.IfID = id } }
	ofMark := func(value uint32) kind { return marked(value, 0xff) }
	plain := func(*xfrm.SA) {}
	for _, tc := range []struct {
		name    string
		out, in []kind
		one     bool
	}{
		{"two if_ids", []kind{ofIf(4), ofIf(5)}, []kind{ofIf(4), ofIf(5)}, false},
		{"two if_ids, dumped crosswise, one during a rekey", []kind{ofIf(5), ofIf(4), ofIf(5)}, []kind{ofIf(4), ofIf(5)}, false},
		{"an if_id and none", []kind{ofIf(4), plain}, []kind{plain, ofIf(4)}, false},
		{"an if_id each way", []kind{ofIf(4)}, []kind{ofIf(5)}, true},
		{"two if_ids, one without its inbound SA", []kind{ofIf(4), ofIf(5)}, []kind{ofIf(4)}, true},
		{"two marks", []kind{ofMark(4), ofMark(5)}, []kind{ofMark(4), ofMark(5)}, false},
		{"two marks outbound only", []kind{ofMark(4), ofMark(5)}, []kind{plain, plain}, true},
		{"a mark outbound, and none", []kind{ofMark(4), plain}, []kind{plain, plain}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := &plan.Inventory{Addresses: addrs("192.0.2.1")}
			for i, k := range tc.out {
				inv.SAs = append(inv.SAs, espSA("192.0.2.1", "203.0.113.1", xfrm.SPI(0x100+i), 1, k))
			}
			for i, k := range tc.in {
				inv.SAs = append(inv.SAs, espSA("203.0.113.1", "192.0.2.1", xfrm.SPI(0x200+i), 1, k))
			}
			groups := 2
			if tc.one {
				groups = 1
			}
			if p := plan.Compute(ispSwap(), inv); len(p.Groups) != groups || len(p.Refusals) != 0 {
				t.Errorf("%d groups, want %d; refused for %v", len(p.Groups), groups, p.Refusals)
			}
			doc := ispSwap()
			doc.Select.Include = []plan.Match{{IfID: ptr(uint32(4))}, {Mark: &xfrm.Mark{Value: 4, Mask: 0xff}}}
			if p := plan.Compute(doc, inv); (len(p.Refusals) != 0) != tc.one {
				t.Errorf("a part selected: refused for %v", p.Refusals)
			}
		})
	}
}
