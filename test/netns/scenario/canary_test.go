//go:build lab

package scenario

import (
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestSilentCanaryStopsTheRest moves a first tunnel on which nothing comes in, as its peer does not know of it: that one is undone and the
// others are never touched. The kernel announces the migrations of the one, there and back, and policies keep their indexes.
func TestSilentCanaryStopsTheRest(t *testing.T) {
	three := append(peers, "203.0.113.3")
	for _, onError := range []string{"rollback", "stop"} {
		t.Run(onError, func(t *testing.T) {
			build(t)
			manual(t, three)
			before := snap(t)
			l, err := topo.Listen(topo.Left)
			if err != nil {
				t.Fatal(err)
			}
			got := finish(t, fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1",
				"waves: [{name: canary, size: 1}, {name: rest, size: 100%}]\nchecks: {after: {inboundTraffic: {within: 1s}}}\nonError: "+onError+"\n")))
			heard, err := l.Stop()
			if err != nil {
				t.Fatal(err)
			}
			expect(t, got, 7, "no packet came in within 1s", "0 of 3 groups done, 1 undone, 2 untouched")
			if err := snap(t).Same(before); err != nil {
				t.Error(err)
			}
			var moves []string
			for _, n := range heard {
				if n.Type == topo.MsgMigrateState {
					moves = append(moves, n.String())
				}
			}
			if len(moves) != 4 || strings.Count(strings.Join(moves, " "), "0x00001000") != 2 || strings.Count(strings.Join(moves, " "), "0x00002000") != 2 {
				t.Errorf("the kernel announced %v, want two of each SA of the first tunnel", moves)
			}
			if t.Failed() {
				t.Log(got.Output)
			}
		})
	}
}
