//go:build lab

package scenario

import (
	"bytes"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestDaemonsInTheWayOfARun has charon do something of its own when the first of two Child SAs has moved and been followed, and the second has not. All cases
// share two charons.
func TestDaemonsInTheWayOfARun(t *testing.T) {
	n := build(t)
	if err := n.StartCharon(); err != nil {
		t.Fatal(err)
	}
	two := inTheWay{children: []topo.Child{{Name: "four", Left: leftNet4, Right: rightNet4}, {Name: "six", Left: leftNet6, Right: rightNet6}}}
	for _, tt := range []struct {
		name string
		code int // of the run; one that was undone is applied once more
		does func(t *testing.T)
	}{
		// What was agreed with the daemon was about another Child SA.
		{"rekeys all Child SAs", 7, func(t *testing.T) {
			for _, child := range []string{"four", "six"} {
				if _, err := n.Swanctl(topo.Left, "--rekey", "--child", child); err != nil {
					t.Error(err)
				}
			}
		}},
		{"the peer rekeys them", 7, func(t *testing.T) {
			for _, child := range []string{"four", "six"} {
				if _, err := n.Swanctl(topo.Right, "--rekey", "--child", child); err != nil {
					t.Error(err)
				}
			}
		}},
		{"reloads its settings and connections", 0, func(t *testing.T) {
			if _, err := n.Swanctl(topo.Left, "--reload-settings"); err != nil {
				t.Error(err)
			}
			two.load(t, n)
		}},
		{"loses the Child SA that has not moved", 0, func(t *testing.T) {
			// The peer answers, so that it is gone on both sides.
			if _, err := n.Swanctl(topo.Left, "--terminate", "--child", "six"); err != nil {
				t.Error(err)
			}
			if _, err := n.Swanctl(topo.Left, "--initiate", "--ike", successor, "--child", "six"); err != nil {
				t.Error(err)
			}
		}},
	}[:thin(1, 4)] {
		ok := t.Run(tt.name, func(t *testing.T) {
			two.up(t, n)
			defer two.down(t, n)
			g := gate{t.TempDir()}
			cmd := n.OnGateway(topo.Left, "apply", "--yes", ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB,
				"ike: {follow: reestablish}\nwaves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check()))
			out := new(bytes.Buffer)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			g.reached(t)
			tt.does(t)
			g.open(t)
			cmd.Wait() // how it ended is in ProcessState
			t.Logf("apply:\n%s", out)
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("apply: exit code %d, want %d", got, tt.code)
			}
			if tt.code != 0 {
				// charon keeps what it has rekeyed for another 5 s, for packets that are under way.
				if err := topo.Until(30*time.Second, func() (bool, error) {
					sas, err := topo.Left.SAD()
					return len(sas) == 4, err
				}); err != nil {
					t.Errorf("the two Child SAs are not alone: %v", err)
				}
				expect(t, applyPlan(t, n, topo.Left, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}")), 0)
			}
			expect(t, applyPlan(t, n, topo.Right, ikePlan(t, n, topo.Right, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}")), 0)
			two.agree(t, n)
			for _, to := range bothClients {
				p, err := topo.StartPing(to)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Answered(10, 30*time.Second); err != nil {
					t.Error(err)
				}
				p.Stop()
			}
		})
		if !ok {
			dump(t, n)
		}
	}
}
