//go:build lab

package scenario

import (
	"sync"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestBothGatewaysApplyAtTheSameTime is what a timer on each gateway does.
func TestBothGatewaysApplyAtTheSameTime(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	observe(t, n, ispChangeMove, func() {
		var both sync.WaitGroup
		var outcomes [len(topo.Gateways)]topo.Outcome
		var errs [len(topo.Gateways)]error
		for i, ns := range topo.Gateways {
			both.Go(func() { outcomes[i], errs[i] = n.Run(ns, "apply", topo.Example(ispChange), "--yes") })
		}
		both.Wait()
		for i, ns := range topo.Gateways {
			if errs[i] != nil || outcomes[i].Code != 0 {
				t.Errorf("apply on %s: %v, exit code %d\n%s", ns, errs[i], outcomes[i].Code, outcomes[i].Output)
			}
		}
	})
}
