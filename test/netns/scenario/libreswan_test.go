//go:build lab

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

const overlap = "overlapip=yes"

// plutoPlan is ikePlan for a gateway with libreswan.
func plutoPlan(t *testing.T, n *topo.Network, ns topo.Namespace, from, to fmt.Stringer, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.yaml")
	text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
		"reestablish: {driver: libreswan, socket: %s}\n%s\n", from, to, n.ControlSocket(ns), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// plutos starts libreswan in both gateways with a tunnel that is up.
func plutos(t *testing.T) *topo.Network {
	t.Helper()
	n := build(t)
	if err := n.StartLibreswan(overlap); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Whack(topo.Left, "--initiate", "--name", "site"); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, n.PlutoLog(topo.Left))
	}
	return n
}

// observePlutos watches IPv4, which is all that the tunnel carries. Packets may ask for an SA: when a connection goes, pluto leaves a policy that makes the
// next packet bring up another.
func observePlutos(t *testing.T, n *topo.Network, move func()) {
	t.Helper()
	w, err := n.Watch(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	move()
	o, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range o.ChecksWithDaemon(topo.MoveISPChange) {
		if !strings.Contains(c.What, "IPv6") && !strings.Contains(c.What, "ACQUIRE") {
			report(t, c)
		}
	}
}

// TestLibreswanOwnsItsSAs has what keeps a plan from being applied to libreswan's SAs, and moves them with the operator's word that he sees to pluto, to the
// other ISP and back.
func TestLibreswanOwnsItsSAs(t *testing.T) {
	n := plutos(t)
	before := snap(t)
	refused := func(more string, says ...string) {
		t.Helper()
		expect(t, applyPlan(t, n, topo.Left, plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, more)), 5, says...)
	}
	refused("", "ike-owned", "libreswan at", "site", "follow: none")
	refused("ike: {follow: reestablish}", "ike-no-successor", "198.51.100.1")
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	refused("ike: {follow: reestablish}", "ike-no-successor", "overlapip=yes")
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
	observePlutos(t, n, func() {
		for _, way := range [][2]fmt.Stringer{{topo.LeftISPA, topo.LeftISPB}, {topo.LeftISPB, topo.LeftISPA}} {
			for _, ns := range topo.Gateways {
				expect(t, applyPlan(t, n, ns, plutoPlan(t, n, ns, way[0], way[1], "ike: {follow: none}")), 0)
			}
		}
	})
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

func dumpPlutos(t *testing.T, n *topo.Network) {
	t.Helper()
	for _, ns := range topo.Gateways {
		log := n.PlutoLog(ns)
		if at := strings.Index(log, `"site": added`); at > 0 {
			log = log[at:]
		}
		states, _ := n.Whack(ns, "--showstates")
		spd, _ := ns.Run("ip", "-o", "xfrm", "policy", "list", "dir", "out")
		t.Logf("pluto of %s:\n%s\n%s\n%s", ns, log, states, spd)
	}
}
