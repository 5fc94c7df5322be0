//go:build lab

package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestNeighbourRewritesMidRun has somebody use `ip xfrm` between the waves, on the tunnel that has moved or on the one that has not. All cases share a
// network.
func TestNeighbourRewritesMidRun(t *testing.T) {
	build(t)
	const out0, out1 = "src 10.1.0.0/24 dst 10.2.0.0/24 dir out", "src 10.1.0.0/24 dst 10.2.1.0/24 dir out"
	asBefore := []string{
		"out src 10.1.0.0/24 dst 10.2.0.0/24 action allow priority 1000 uid 0 192.0.2.1 > 203.0.113.1", "SA 00001000 192.0.2.1 > 203.0.113.1",
		"out src 10.1.0.0/24 dst 10.2.1.0/24 action allow priority 1000 uid 0 192.0.2.1 > 203.0.113.2", "SA 00001001 192.0.2.1 > 203.0.113.2",
	}
	for _, tt := range []struct {
		name     string
		does     string // what `ip` is told
		code     int
		outcomes string
		says     [2]string // in the report, of either tunnel
		want     []string  // what is there in the end
		lacks    []string
		bare     bool // cleartext is let out by what is done, until the run has seen it
	}{
		{
			name: "policy of a group not begun", does: "xfrm policy update " + out1 + " priority 900 tmpl src 192.0.2.1 dst 203.0.113.2 proto esp reqid 2 mode tunnel",
			outcomes: "done done", says: [2]string{"", "computed again"},
			want: []string{"out src 10.1.0.0/24 dst 10.2.1.0/24 action allow priority 900 uid 0 198.51.100.1 > 203.0.113.2", "SA 00001001 198.51.100.1 > 203.0.113.2"},
		},
		{
			name: "policy of a moved group", does: "xfrm policy update " + out0 + " priority 900 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel",
			outcomes: "done done", says: [2]string{"rewritten by somebody else and is left as they want it", ""},
			want: []string{"out src 10.1.0.0/24 dst 10.2.0.0/24 action allow priority 900 uid 0 192.0.2.1 > 203.0.113.1", "SA 00001000 198.51.100.1 > 203.0.113.1"},
		},
		{
			name: "policy of a moved group deleted", does: "xfrm policy delete " + out0, code: 7, bare: true,
			outcomes: "undone untouched", want: asBefore,
		},
		{
			name: "SA of a moved group deleted", does: "xfrm state delete src 198.51.100.1 dst 203.0.113.1 proto esp spi 0x1000",
			outcomes: "done done", says: [2]string{"was deleted by its owner", ""},
			want:  []string{"SA 00002000 203.0.113.1 > 198.51.100.1"},
			lacks: []string{"SA 00001000"},
		},
		{
			name: "policy of a moved group put back", does: "xfrm policy update " + out0 + " priority 1000 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel",
			outcomes: "done done", says: [2]string{"put back by somebody else as it was before the run", ""},
			want: []string{"out src 10.1.0.0/24 dst 10.2.0.0/24 action allow priority 1000 uid 0 192.0.2.1 > 203.0.113.1", "SA 00001000 198.51.100.1 > 203.0.113.1"},
		},
		{
			name: "SA of a group not begun deleted", does: "xfrm state delete src 192.0.2.1 dst 203.0.113.2 proto esp spi 0x1001",
			outcomes: "done done", says: [2]string{"", "computed again"},
			want:  []string{"SA 00002001 203.0.113.2 > 198.51.100.1"},
			lacks: []string{"SA 00001001"},
		},
		{
			name: "SAs updated", does: update("192.0.2.1 dst 203.0.113.2", outSPI(1), 2) + "\n" + update("198.51.100.1 dst 203.0.113.1", outSPI(0), 1),
			outcomes: "done done",
			want:     []string{"SA 00001000 198.51.100.1 > 203.0.113.1", "SA 00001001 198.51.100.1 > 203.0.113.2"},
		},
	}[:thin(4, 7)] {
		t.Run(tt.name, func(t *testing.T) {
			if err := topo.Left.IP("xfrm policy flush\nxfrm state flush\n"); err != nil {
				t.Fatal(err)
			}
			manual(t, peers)
			var r *waved
			var got topo.Outcome
			run := func() {
				r, got = betweenWaves(t, func() {
					if err := topo.Left.IP(tt.does + "\n"); err != nil {
						t.Fatal(err)
					}
				})
			}
			if tt.bare {
				run()
			} else {
				dense := sealed(t)
				pinging(t, run)
				dense()
			}
			expect(t, got, tt.code)
			there(t, tt.want, tt.lacks)
			report := reportOf(t, r)
			var outcomes []string
			for i, g := range report.Groups {
				outcomes = append(outcomes, string(g.Outcome))
				if text := strings.Join(g.Problems, "\n"); i < 2 && (!strings.Contains(text, tt.says[i]) || !tt.bare && text != "" && tt.says[i] == "") {
					t.Errorf("the report says of %s %q, want %q", g.Name, text, tt.says[i])
				}
			}
			if got := strings.Join(outcomes, " "); got != tt.outcomes {
				t.Errorf("the report says %q, want %q", got, tt.outcomes)
			}
			if t.Failed() {
				t.Logf("output:\n%s", got.Output)
			}
		})
	}
}

// update is what `ip` is told to give an SA of manual a limit. A key is asked for, and the kernel keeps the one that it has.
func update(addresses string, spi uint32, reqid int) string {
	return fmt.Sprintf("xfrm state update src %s proto esp spi 0x%08x reqid %d mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 limit packet-hard 1000000 dir out",
		addresses, spi, reqid, newKey())
}

// there checks that the left gateway has some SAs and policies, lacks some, and that nothing is blocked.
func there(t *testing.T, want, lacks []string) {
	t.Helper()
	s := snap(t)
	var have []string
	for _, p := range s.Policies {
		have = append(have, p.String())
	}
	for _, sa := range s.SAs {
		have = append(have, fmt.Sprintf("SA %08x %v > %v", sa.SPI, sa.Src, sa.Dst))
	}
	all := strings.Join(have, "\n")
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("no %q in\n%s", w, all)
		}
	}
	for _, l := range lacks {
		if strings.Contains(all, l) {
			t.Errorf("%q is in\n%s", l, all)
		}
	}
	if len(blocked(s)) != 0 {
		t.Errorf("blocked: %v", blocked(s))
	}
}

// reportOf reads what a run has left in its state directory.
func reportOf(t *testing.T, r *waved) *executor.Report {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.state(), "runs", "*", "report.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("reports %v, %v; want one", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	report := new(executor.Report)
	if err := json.Unmarshal(data, report); err != nil {
		t.Fatal(err)
	}
	return report
}
