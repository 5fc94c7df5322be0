//go:build lab

package scenario

import (
	"strings"
	"sync"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestPlutosWithTwoConnections have one IKE SA for both, as pluto does between the same hosts, and move them in two waves. The connection that has brought the
// IKE SA up goes first, and the IKE SA with the last one.
func TestPlutosWithTwoConnections(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := plutos(t)
	six := [2]string{leftNet6, rightNet6}
	if err := n.AddConnOf(six, "six", topo.LeftISPA, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Whack(topo.Left, "--initiate", "--name", "six"); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, n.PlutoLog(topo.Left))
	}
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	if err := n.AddConnOf(six, "six-b", topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	w, err := n.Watch()
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for _, ns := range topo.Gateways {
		both.Go(func() {
			expect(t, applyPlan(t, n, ns, plutoPlan(t, n, ns, topo.LeftISPA, topo.LeftISPB,
				"ike: {follow: reestablish}\nwaves: [{name: one, size: 1}, {name: rest, size: 100%}]")), 0)
		})
	}
	both.Wait()
	o, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range o.ChecksWithDaemon(topo.MoveISPChange) {
		if !strings.Contains(c.What, "ACQUIRE") {
			report(t, c)
		}
	}
	plutosAgreeOn(t, n, 2, topo.LeftISPA, topo.LeftISPB)
	if t.Failed() {
		dumpPlutos(t, n)
	}
}
