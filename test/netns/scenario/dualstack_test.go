//go:build lab

package scenario

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestDualStackTunnelMovesUnderTraffic moves one Child SA of strongSwan's twice while it carries both families, and applies each plan
// once more.
func TestDualStackTunnelMovesUnderTraffic(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, plan string
		move       topo.Move
	}{
		{"to another ISP", topo.PlanISPChange, topo.MoveISPChange},
		{"to IPv6", topo.PlanToIPv6, topo.MoveToIPv6},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			observe(t, n, step.move, func() {
				for _, ns := range topo.Gateways {
					apply(t, n, ns, step.plan)
				}
			})
			for _, ns := range topo.Gateways {
				report(t, n.CheckAgain(ns, step.plan))
			}
		})
		if !ok {
			break // the next step starts from where this one should have ended
		}
	}
}

// observe watches the network while move happens, and checks how it went.
func observe(t *testing.T, n *topo.Network, m topo.Move, move func()) {
	t.Helper()
	observeBy(t, n, m, (*topo.Observation).Checks, move)
}

// observeBy is observe with checks of one's own.
func observeBy(t *testing.T, n *topo.Network, m topo.Move, checks func(*topo.Observation, topo.Move) []topo.Check, move func()) {
	t.Helper()
	w, err := n.Watch()
	if err != nil {
		t.Fatal(err)
	}
	move()
	o, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks(o, m) {
		report(t, c)
	}
}

func report(t *testing.T, c topo.Check) {
	t.Helper()
	if c.Err != nil {
		t.Errorf("%s: %v (%s: %s)", c.What, c.Err, c.How, c.Seen)
		return
	}
	t.Logf("%s: %s (%s)", c.What, c.Seen, c.How)
}

func apply(t *testing.T, n *topo.Network, ns topo.Namespace, plan string) {
	t.Helper()
	o, err := n.Run(ns, "apply", plan, "--yes")
	if err != nil {
		t.Fatal(err)
	}
	if o.Code != 0 {
		t.Errorf("apply on %s: exit code %d\n%s", ns, o.Code, o.Output)
	}
}
