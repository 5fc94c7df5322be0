package schema

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

const oneMap = "renumber: [{from: 192.0.2.0/28, to: 198.51.100.0/28}]\n"

// compare leaves out positions, which TestLoadKeepsPositions is about.
var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmpopts.IgnoreTypes(plan.Pos{}),
	cmpopts.IgnoreFields(plan.Document{}, "Digest"),
}

func load(t *testing.T, data string) *plan.Document {
	t.Helper()
	doc, err := Load("plan.yaml", []byte(data))
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return doc
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLoadReadsEveryKey(t *testing.T) {
	p := netip.MustParsePrefix
	want := &plan.Document{
		Metadata: plan.Metadata{
			Name: "berlin-isp-swap", Change: "CHG-20471",
			Description: "Hub moves from ISP A to ISP B.\nSee the change for phone numbers.\n",
		},
		Window: plan.Window{
			NotBefore: time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC),
			NotAfter:  time.Date(2026, 12, 1, 4, 0, 0, 500_000_000, time.UTC),
		},
		Targets: []plan.Target{{NetNS: "wan"}, {NetNS: "lab.2"}},
		Renumber: []plan.Renumber{
			{From: p("192.0.2.0/28"), To: p("198.51.100.0/28")},
			{From: p("192.0.2.4/31"), To: p("198.51.100.32/31")},
			{From: p("2001:db8:10::/64"), To: p("2001:db8:20::/64")},
			{From: p("203.0.113.7/32"), To: p("2001:db8:30::7/128")},
		},
		Select: plan.Select{
			Include: []plan.Match{
				{
					Reqid: new(uint32(17)), IfID: new(uint32(4)), Mark: &xfrm.Mark{Value: 1, Mask: 0xff},
					Proto: new(xfrm.ProtoESP), Mode: new(xfrm.ModeTunnel),
				},
				{Local: p("192.0.2.0/28"), Remote: p("203.0.113.9/32"), SPI: new(xfrm.SPI(0xc6f8e81d))},
			},
			Exclude: []plan.Match{{Mode: new(xfrm.ModeBEET), Proto: new(xfrm.ProtoAH)}},
		},
		Overrides: []plan.Override{
			{
				Match: plan.Match{Reqid: new(uint32(17))},
				Set: plan.Changes{
					Reqid:    new(uint32(1017)),
					Encap:    &plan.EncapChange{LocalPort: 4500, RemotePort: 4501},
					Selector: &plan.SelectorChange{Kind: plan.SelectorExplicit, Local: p("10.1.0.0/16"), Remote: p("10.2.0.0/16")},
					Mark:     &xfrm.Mark{Value: 0x10, Mask: 0xffffffff}, OutputMark: &xfrm.Mark{Value: 1, Mask: 255},
					NATKeepalive: new(uint32(20)), MappingMaxAge: new(uint32(300)),
					Offload: &plan.OffloadChange{Dev: "eth1", Packet: true},
				},
			},
			{
				Match: plan.Match{Reqid: new(uint32(18))},
				Set: plan.Changes{
					Encap:    &plan.EncapChange{None: true},
					Selector: &plan.SelectorChange{Kind: plan.SelectorHostToHost},
					Offload:  &plan.OffloadChange{None: true},
				},
			},
		},
		Transaction: plan.Transaction{Parallelism: 8},
		Waves: []plan.WaveSpec{
			{Name: "canary", Count: 1}, {Name: "wave-2", Percent: 25, Pause: 90 * time.Second}, {Name: "rest", Percent: 100},
		},
		Checks: plan.Checks{
			InboundTraffic: 20 * time.Second,
			Command:        []string{"/usr/local/bin/check-tunnels", "--site", "berlin"}, CommandTimeout: 45 * time.Second,
		},
		OnError: plan.OnErrorStop,
		OnExist: plan.OnExistReestablish,
		IKE:     plan.IKE{Follow: plan.FollowReestablish},
		Reestablish: plan.Reestablish{
			Driver: plan.DriverCommand, Command: []string{"/usr/local/bin/bring-up", "-v"}, Timeout: 90 * time.Second, AcceptLoss: true,
		},
		Confirm: 10 * time.Minute,
	}
	if diff := cmp.Diff(want, load(t, string(readFile(t, "testdata/maximal.yaml"))), compare); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestLoadFillsInDefaults(t *testing.T) {
	want := &plan.Document{
		Metadata: plan.Metadata{Name: "berlin"},
		Targets:  []plan.Target{{}},
		Renumber: []plan.Renumber{{From: netip.MustParsePrefix("192.0.2.0/28"), To: netip.MustParsePrefix("198.51.100.0/28")}},
		Waves:    []plan.WaveSpec{{Name: "all", Percent: 100}},
		Checks:   plan.Checks{LocalAddressAssigned: true, RouteToPeer: true},
		OnError:  plan.OnErrorRollback,
		OnExist:  plan.OnExistRollback,
	}
	if diff := cmp.Diff(want, load(t, header+oneMap), compare); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestLoadKeepsPositionsAndDigest(t *testing.T) {
	doc := load(t, header+"renumber:\n  - {from: 192.0.2.7, to: 198.51.100.7}\n")
	if got, want := doc.Renumber[0].Pos, (plan.Pos{Line: 5, Column: 5}); got != want {
		t.Errorf("position of the entry = %v, want %v", got, want)
	}
	// printf '...' | sha256sum
	if want := "600df43febf973b6"; len(doc.Digest) != 64 || doc.Digest[:16] != want {
		t.Errorf("digest = %s, want %s...", doc.Digest, want)
	}
}

func TestLoadTakes(t *testing.T) {
	tests := []struct{ name, data string }{
		{"the example of the documentation", string(readFile(t, "testdata/design.yaml"))},
		{"Windows line endings", "apiVersion: xfrm-plan/v1\r\nkind: Renumbering\r\nmetadata: {name: berlin}\r\n" + oneMap},
		{"a document start and end", "---\n" + header + oneMap + "...\n"},
		{"JSON", `{"apiVersion": "xfrm-plan/v1", "kind": "Renumbering", "metadata": {"name": "b"}, "renumber": [{"from": "192.0.2.7", "to": "198.51.100.7"}]}`},
		{"letters of other scripts in a description", header[:len(header)-2] + ", description: \"Köln, Ελλάδα, 東京\"}\n" + oneMap},
		{"a swap of two hosts", header + "renumber: [{from: 192.0.2.1, to: 192.0.2.2}, {from: 192.0.2.2, to: 192.0.2.1}]\n"},
		{"an exception to a prefix", header + "renumber: [{from: 192.0.2.0/28, to: 198.51.100.0/28}, {from: 192.0.2.7, to: 198.51.100.32}]\n"},
		{"an exception that uses what it frees", header + "renumber: [{from: 192.0.2.0/28, to: 198.51.100.0/28}, {from: 192.0.2.7, to: 203.0.113.1}, {from: 203.0.113.9, to: 198.51.100.7}]\n"},
		{"both families of a gateway into one", header + "renumber: [{from: 2001:db8:10::/64, to: 2001:db8:20::/64}, {from: 192.0.2.7, to: 2001:db8:20::7}]\n"},
		{"percentages that make 100", header + oneMap + "waves: [{size: 33%}, {size: 33%}, {size: 34%}]\n"},
		{"the default socket", header + oneMap + "reestablish: {driver: vici}\n"},
		{"an SPI that IANA reserves", header + oneMap + "select: {include: [{spi: \"0x1\"}, {spi: \"0x000000ff\"}]}\n"},
		{"a selector that an earlier override sets", header + oneMap + "overrides: [{match: {mode: transport}, set: {selector: host-to-host}}, {match: {reqid: 17}, set: {selector: keep}}]\n"},
		{"many entries of a list in braces", header + oneMap + "select:\n  include:\n" + numbered(100_000, "    - {reqid: 1%d}\n")},
		{"the same on lines of their own", header + oneMap + "select:\n  include:\n" + numbered(100_000, "    - reqid: 1%d\n")},
		{"the same on one line", header + oneMap + "select: {include: [" + numbered(100_000, "{reqid: 1%d}, ") + "{reqid: 1}]}\n"},
		{"a mark that matches SAs without one", header + oneMap + "select: {include: [{mark: {value: 0, mask: 0}}]}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { load(t, tt.data) })
	}
}

func TestLoadFillsInTheDriversDefaults(t *testing.T) {
	doc := load(t, header+oneMap+"reestablish: {driver: vici}\nchecks: {after: {command: {run: [/bin/true]}}}\n")
	if got := doc.Reestablish; got.Socket != "/run/charon.vici" || got.Timeout != time.Minute {
		t.Errorf("reestablish = %+v", got)
	}
	if got := doc.Checks.CommandTimeout; got != 30*time.Second {
		t.Errorf("timeout of the command = %v", got)
	}
}
