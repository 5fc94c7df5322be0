//go:build lab

package examples

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// branches is how many tunnels the hub has: a canary, a quarter of them, and the rest.
const branches = 24

// wavePause is in hub-in-waves.yaml.
const wavePause = 4 * time.Second

// waves has the left gateway as the hub; all branches are on the right one, with an outer and an inner address for each.
var waves = situation{
	name:  "a hub with dozens of tunnels",
	plans: onBoth("hub-in-waves.yaml"),
	setUp: func(t *testing.T, _ *topo.Network) {
		var outer, clients strings.Builder
		var all []tunnel
		for i := range branches {
			fmt.Fprintf(&outer, "addr add %s/24 dev wan\n", branch(i))
			fmt.Fprintf(&clients, "addr add %s/24 dev eth0\n", client(i))
			all = append(all, tunnel{reqid: i + 1, left: "192.0.2.1", right: branch(i), inner: [][2]string{{"10.1.0.0/24", client(i) + "/32"}}})
		}
		for ns, script := range map[topo.Namespace]string{topo.Right: outer.String(), topo.RightLAN: clients.String()} {
			if err := ns.IP(script); err != nil {
				t.Fatal(err)
			}
		}
		install(t, all)
		for i := range branches {
			chat(t, client(i))
		}
	},
	pings: []string{client(0), client(3), client(branches - 1)}, // one of each wave
	moved: replaced("192.0.2.1", "198.51.100.1"),
	look: func(t *testing.T, seen *seen) {
		// Two calls each, in the order of the plan, and nothing between the waves.
		for _, ns := range topo.Gateways {
			got := sizes(seen.notices[ns])
			if want := []int{2, branches / 4 * 2, (branches - 1 - branches/4) * 2}; !slices.Equal(got, want) {
				t.Errorf("%s: waves of %v calls, want %v", ns, got, want)
			}
		}
	},
}

// chat sends something through a tunnel every second, and has it answered: the plan checks each of them for traffic.
func chat(t *testing.T, with string) {
	t.Helper()
	cmd := topo.LeftLAN.Command("ping", "-q", "-n", "-i", "1", with)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // that it was killed
	})
}

func branch(i int) string { return fmt.Sprintf("203.0.113.%d", 101+i) }
func client(i int) string { return fmt.Sprintf("10.2.0.%d", 101+i) }

// sizes tells how many calls came without a pause between them, which is one wave.
func sizes(heard []topo.Notice) (all []int) {
	var last time.Time
	for _, n := range heard {
		if n.Type != topo.MsgMigrateState {
			continue
		}
		// A little less than the pause, as a notice is not read at the moment at which it comes.
		if len(all) == 0 || n.At.Sub(last) > wavePause*3/4 {
			all = append(all, 0)
		}
		all[len(all)-1]++
		last = n.At
	}
	return all
}
