package review

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// twins are two outbound SAs of one SPI, told apart by mark, with a policy each over one selector, told apart by if_id; the
// first have all else that the review shows.
func twins() *plan.Inventory {
	local, remote := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.1")
	const label = "\x0d\x00\x08\x00\x01\x01\x05\x00spd_t"
	inv := &plan.Inventory{Addresses: []netip.Addr{local}}
	for i := range uint32(2) {
		sa := xfrm.SA{
			ID:  xfrm.SAID{Dst: xfrm.AddressFrom(remote), SPI: 0x1001, Family: xfrm.FamilyIPv4, Proto: xfrm.ProtoESP},
			Src: xfrm.AddressFrom(local), Reqid: i + 1, Mode: xfrm.ModeTunnel, CPU: xfrm.AnyCPU, HasAlgorithm: true,
			Mark: xfrm.Mark{Value: i + 1, Mask: 0xff}, IfID: 16 + i, Dir: xfrm.SADirOut,
		}
		p := xfrm.Policy{
			Sel: xfrm.SelectorFor(netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")), Dir: xfrm.DirOut,
			Index: i<<3 | 1, Priority: 100, Mark: sa.Mark, IfID: sa.IfID,
			Templates: []xfrm.Template{{Dst: sa.ID.Dst, Src: sa.Src, Family: sa.ID.Family, Proto: sa.ID.Proto, Mode: sa.Mode, Reqid: sa.Reqid}},
		}
		if i == 0 {
			sa.CPU, sa.Label, p.Label, p.Type = 0, label, label, xfrm.PolicySub
		}
		inv.SAs, inv.Policies = append(inv.SAs, sa), append(inv.Policies, p)
	}
	return inv
}

func reviewOf(inv *plan.Inventory) *Review {
	doc := &plan.Document{
		Metadata: plan.Metadata{Name: "isp-swap"},
		Renumber: []plan.Renumber{{From: netip.MustParsePrefix("192.0.2.1/32"), To: netip.MustParsePrefix("198.51.100.1/32")}},
		Waves:    []plan.WaveSpec{{Name: "all", Percent: 100}},
	}
	return Of(plan.Compute(doc, inv), "")
}

func TestReviewTellsTwinsApart(t *testing.T) {
	r := reviewOf(twins())
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"~ out   esp 0x00001001  192.0.2.1 -> 203.0.113.1  mark 0x1/0xff  if_id 0x10\n",
		"~ out   esp 0x00001001  192.0.2.1 -> 203.0.113.1  mark 0x2/0xff  if_id 0x11\n",
		"* out   10.1.0.0/24 -> 10.2.0.0/24  mark 0x1/0xff  if_id 0x10  priority 100\n",
		"* out   10.1.0.0/24 -> 10.2.0.0/24  mark 0x2/0xff  if_id 0x11  priority 100\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no line %q in\n%s", want, text.String())
		}
	}
	first, second := asJSON(t, r, 0), asJSON(t, r, 1)
	for _, want := range []string{
		`"mark":"0x1/0xff"`, `"ifId":16`, `"cpu":0`, `"label":"spd_t"`, `"subPolicy":true`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%s", want, first)
		}
	}
	for _, none := range []string{"cpu", "label", "subPolicy"} {
		if strings.Contains(second, none) {
			t.Errorf("%s in\n%s", none, second)
		}
	}
}

func asJSON(t *testing.T, r *Review, group int) string {
	t.Helper()
	if len(r.Groups) != 2 {
		t.Fatalf("%d groups, want 2", len(r.Groups))
	}
	b, err := json.Marshal(r.Groups[group])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReviewIsPlainWhereNothingIsMarked: what most tunnels don't have takes no room.
func TestReviewIsPlainWhereNothingIsMarked(t *testing.T) {
	inv := twins()
	inv.SAs, inv.Policies = inv.SAs[1:], inv.Policies[1:]
	inv.SAs[0].Mark, inv.SAs[0].IfID, inv.Policies[0].Mark, inv.Policies[0].IfID = xfrm.Mark{}, 0, xfrm.Mark{}, 0
	var text bytes.Buffer
	if err := reviewOf(inv).Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"mark", "if_id"} {
		if strings.Contains(text.String(), none) {
			t.Errorf("%s in\n%s", none, text.String())
		}
	}
}

// TestJSONReadsBack: the JSON has all that the text is made of.
func TestJSONReadsBack(t *testing.T) {
	r := reviewOf(twins())
	var b, before, after bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	back := new(Review)
	if err := json.Unmarshal(b.Bytes(), back); err != nil {
		t.Fatal(err)
	}
	if r.Text(&before) != nil || back.Text(&after) != nil || before.String() != after.String() {
		t.Errorf("from JSON:\n%s\nwant\n%s", after.String(), before.String())
	}
}
