//go:build lab

package scenario

import (
	"slices"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestDaemonGoesBackInTransportMode undoes a run that has moved hosts which charon protects in transport mode, and that it has followed: its selectors are the
// hosts' addresses, so that the policies at the old ones are others. On one gateway, whose peer goes along, and on both.
func TestDaemonGoesBackInTransportMode(t *testing.T) {
	for _, both := range []bool{false, true}[:thin(1, 2)] {
		name := map[bool]string{false: "one gateway", true: "both gateways"}[both]
		t.Run(name, func(t *testing.T) {
			n := build(t)
			if err := n.StartCharon(); err != nil {
				t.Fatal(err)
			}
			c := casesInTheWay[slices.IndexFunc(casesInTheWay, func(c inTheWay) bool { return c.name == "transport mode" })]
			c.up(t, n)
			gateways := topo.Gateways[:1]
			if both {
				gateways = topo.Gateways[:]
			}
			for _, ns := range gateways {
				expect(t, applyPlan(t, n, ns, ikePlan(t, n, ns, topo.LeftISPA, topo.LeftISPB, follow+"\n"+c.more)), 0)
			}
			agree(t, n, topo.LeftISPA.String())
			for i, ns := range gateways {
				o, err := n.Run(ns, "rollback", "--yes")
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("rollback on %s:\n%s", ns, o.Output)
				if i == 0 {
					expect(t, o, 0, "at the old addresses with it again")
				} else {
					expect(t, o, 0)
				}
			}
			agree(t, n, topo.LeftISPB.String())
			if _, err := topo.Left.Run("ping", "-c", "3", "-W", "10", "-I", topo.LeftISPA.String(), topo.RightISP.String()); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}
