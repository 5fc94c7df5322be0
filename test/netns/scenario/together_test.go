//go:build lab

package scenario

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestBothGatewaysApplyAtTheSameTime is what a timer on each gateway does.
func TestBothGatewaysApplyAtTheSameTime(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	observe(t, n, topo.MoveISPChange, func() {
		outcomes, err := n.RunOnBoth("apply", topo.PlanISPChange, "--yes")
		if err != nil {
			t.Fatal(err)
		}
		for i, ns := range topo.Gateways {
			if outcomes[i].Code != 0 {
				t.Errorf("apply on %s: exit code %d\n%s", ns, outcomes[i].Code, outcomes[i].Output)
			}
		}
	})
}
