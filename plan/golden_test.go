package plan_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/plan/recorded"
	"github.com/xfrm-plan/xfrm-plan/review"
)

var update = flag.Bool("update", false, "write the goldens of testdata/golden afresh")

// ispSwap is the plan of the goldens: the recorded gateway moves from 192.0.2.1 to 198.51.100.1.
func ispSwap() *plan.Document {
	return &plan.Document{
		Metadata: plan.Metadata{Name: "isp-swap"},
		Renumber: []plan.Renumber{rule("192.0.2.0/24", "198.51.100.0/24")},
		Waves:    []plan.WaveSpec{{Name: "all", Percent: 100}},
	}
}

func rule(from, to string) plan.Renumber {
	return plan.Renumber{From: netip.MustParsePrefix(from), To: netip.MustParsePrefix(to)}
}

func ptr[T any](v T) *T { return &v }

// variants are plans other than ispSwap that recorded inventories are computed with.
var variants = []struct {
	name, inventory string
	change          func(*plan.Document)
}{
	{"transport-follows", "strongswan-transport", hostToHost},
	{"transport-follows-manual", "manual-transport-hosts", hostToHost},
	{"transport-follows-to-ipv6", "manual-transport-hosts", func(d *plan.Document) { hostToHost(d); toIPv6(d) }},
	{"tunnel-between-hosts-follows", "strongswan-between-hosts", hostToHost},
	{"dual-stack-to-ipv6", "strongswan-dual-stack", toIPv6},
	{"ipcomp-to-ipv6", "strongswan-ipcomp", toIPv6},
	{"one-end-to-ipv6", "strongswan-dual-stack", func(d *plan.Document) {
		d.Renumber = []plan.Renumber{rule("192.0.2.1/32", "2001:db8:20::1/128")}
	}},
	{"nat-t-ends", "strongswan-nat-t", func(d *plan.Document) {
		d.Overrides = []plan.Override{{Set: plan.Changes{Encap: &plan.EncapChange{None: true}}}}
	}},
	{"ipcomp-encapsulated", "strongswan-ipcomp", func(d *plan.Document) {
		d.Overrides = []plan.Override{{Set: plan.Changes{Encap: &plan.EncapChange{LocalPort: 4500, RemotePort: 4501}}}}
	}},
	{"keepalive-without-encap", "strongswan-dual-stack", func(d *plan.Document) {
		d.Overrides = []plan.Override{{Set: plan.Changes{NATKeepalive: ptr(uint32(20)), MappingMaxAge: ptr(uint32(60))}}}
	}},
	{"offload-to-nowhere", "strongswan-dual-stack", func(d *plan.Document) {
		d.Overrides = []plan.Override{{Set: plan.Changes{Offload: &plan.OffloadChange{Dev: "eth9"}}}}
	}},
	{"half-a-child-sa", "manual-reqid-each-way", func(d *plan.Document) {
		d.Select.Include = []plan.Match{{Reqid: ptr(uint32(101))}}
	}},
	{"one-of-many-transport", "manual-transport-wildcard", func(d *plan.Document) {
		d.Select.Include = []plan.Match{{Remote: netip.MustParsePrefix("203.0.113.2/32")}}
	}},
	{"new-reqid", "strongswan-dual-stack", func(d *plan.Document) {
		d.Overrides = []plan.Override{{Set: plan.Changes{Reqid: ptr(uint32(1001))}}}
	}},
}

func hostToHost(d *plan.Document) {
	d.Overrides = []plan.Override{{Set: plan.Changes{Selector: &plan.SelectorChange{Kind: plan.SelectorHostToHost}}}}
}

func toIPv6(d *plan.Document) {
	d.Renumber = []plan.Renumber{rule("192.0.2.1/32", "2001:db8:20::1/128"), rule("203.0.113.1/32", "2001:db8:30::1/128")}
}

// TestGoldens computes a plan for every recorded inventory, and the variants, and compares
// all of it.
func TestGoldens(t *testing.T) {
	recordings, err := filepath.Glob("testdata/inventory/*.json")
	if err != nil || len(recordings) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range recordings {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) { golden(t, name, name, ispSwap()) })
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			doc := ispSwap()
			v.change(doc)
			golden(t, v.name, v.inventory, doc)
		})
	}
}

// reviewed are the goldens that package review is tested with as well, in testdata/review: a tunnel, one that changes its
// family, selectors that follow, policies that keep their age, policies alone, and refusals.
var reviewed = []string{
	"strongswan-dual-stack", "dual-stack-to-ipv6", "transport-follows", "manual-equal-priority-overlap", "strongswan-trap",
	"manual-ambiguous-mark",
}

func golden(t *testing.T, name, inventory string, doc *plan.Document) {
	inv, made, err := recorded.Read(filepath.Join("testdata/inventory", inventory+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	fmt.Fprintf(&got, "# %s\n", strings.ReplaceAll(strings.TrimSpace(made), "\n", "\n# "))
	p := plan.Compute(doc, inv)
	render(&got, p)
	compare(t, filepath.Join("testdata/golden", name+".txt"), got.Bytes())
	if slices.Contains(reviewed, name) {
		got.Reset()
		if err := review.Of(p, "wan").Text(&got); err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Join("testdata/review", name+".txt"), got.Bytes())
	}
}

// compare compares with the file, or writes it with -update.
func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: -want +got; go test ./plan -update if it should be:\n%s", path, diff)
	}
}
