//go:build lab

package scenario

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

var fourAndSix = inTheWay{children: []topo.Child{{Name: "four", Left: leftNet4, Right: rightNet4}, {Name: "six", Left: leftNet6, Right: rightNet6}}}

// followInTwoWaves moves two Child SAs of the left gateway, one after the other, and does something in between.
func followInTwoWaves(t *testing.T, n *topo.Network, code int, does func()) {
	t.Helper()
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
	does()
	g.open(t)
	cmd.Wait() // how it ended is in ProcessState
	t.Logf("apply:\n%s", out)
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("apply: exit code %d, want %d", got, code)
	}
}

// TestDaemonsInTheWayOfARun has charon do something of its own when the first of two Child SAs has moved and been followed, and the second has not. All cases
// share two charons.
func TestDaemonsInTheWayOfARun(t *testing.T) {
	n := build(t)
	if err := n.StartCharon(); err != nil {
		t.Fatal(err)
	}
	two := fourAndSix
	for _, tt := range []struct {
		name string
		does func(t *testing.T)
	}{
		// The one that has moved is rekeyed where the daemons believe it to be, the other one before its wave.
		{"rekeys all Child SAs", func(t *testing.T) {
			for _, child := range []string{"four", "six"} {
				if _, err := n.Swanctl(topo.Left, "--rekey", "--child", child); err != nil {
					t.Error(err)
				}
			}
		}},
		{"the peer rekeys them", func(t *testing.T) {
			for _, child := range []string{"four", "six"} {
				if _, err := n.Swanctl(topo.Right, "--rekey", "--child", child); err != nil {
					t.Error(err)
				}
			}
		}},
		{"reloads its settings and connections", func(t *testing.T) {
			if _, err := n.Swanctl(topo.Left, "--reload-settings"); err != nil {
				t.Error(err)
			}
			two.load(t, n)
		}},
		{"loses the Child SA that has not moved", func(t *testing.T) {
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
			followInTwoWaves(t, n, 0, func() { tt.does(t) })
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

// TestCharonDiesAmidARun kills charon when the first of two Child SAs has moved, before it is told to follow: the run says that nobody has followed, and the
// second stays where it is. When another charon runs, recover has it follow, or goes back. Where that runs in time the run does not even notice.
func TestCharonDiesAmidARun(t *testing.T) {
	for _, tt := range []struct {
		name      string
		code      int // of the run
		restarted bool
		recover   []string // what recover is told; nil without
		four, six netip.Addr
	}{
		{"recovered forward", 8, false, []string{"--forward"}, topo.LeftISPB, topo.LeftISPA},
		{"recovered back", 8, false, []string{}, topo.LeftISPA, topo.LeftISPA},
		{"restarted in time", 0, true, nil, topo.LeftISPB, topo.LeftISPB},
	}[:thin(1, 3)] {
		t.Run(tt.name, func(t *testing.T) {
			n := build(t)
			if err := n.StartCharon(); err != nil {
				t.Fatal(err)
			}
			fourAndSix.up(t, n)
			another := func() {
				if err := n.StartAnotherCharon(topo.Left); err != nil {
					t.Fatal(err)
				}
				fourAndSix.load(t, n)
			}
			dense := sealed(t)
			for _, to := range bothClients {
				p, err := topo.StartPing(to)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Stop()
			}
			followInTwoWaves(t, n, tt.code, func() {
				if err := n.KillCharon(topo.Left); err != nil {
					t.Fatal(err)
				}
				if tt.restarted {
					another()
				}
			})
			if !tt.restarted {
				another()
			}
			if tt.recover != nil {
				expect(t, recoverLeft(t, n, tt.recover...), 0)
			}
			for _, p := range snap(t).Policies {
				at := tt.four
				if strings.Contains(p.Selector, "fd01:") {
					at = tt.six
				}
				if p.Action != "allow" || p.UID != 0 || !strings.Contains(p.Template, at.String()) {
					t.Errorf("policy %v, want it at %v", p, at)
				}
			}
			// What the first charon knew is lost with it, and its operator's to bring up.
			for child, at := range map[string]netip.Addr{"four": tt.four, "six": tt.six} {
				ike := successor
				if at == topo.LeftISPA {
					ike = "site"
				}
				listed, err := n.Swanctl(topo.Left, "--list-sas", "--child", child, "--raw")
				if has := strings.Contains(listed, "INSTALLED"); err != nil || has != (at == topo.LeftISPB) {
					t.Errorf("charon has %s: %v, %v\n%s", child, has, err, listed)
				} else if has {
					continue
				}
				if _, err := n.Swanctl(topo.Left, "--initiate", "--ike", ike, "--child", child); err != nil {
					t.Error(err)
				}
			}
			for _, to := range bothClients {
				p, err := topo.StartPing(to)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Answered(10, 30*time.Second); err != nil {
					t.Errorf("%s: %v", to, err)
				}
				p.Stop()
			}
			dense()
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}
