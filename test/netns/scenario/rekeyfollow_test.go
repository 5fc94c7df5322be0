//go:build lab

package scenario

import (
	"bytes"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRekeyBetweenMoveAndFollow has charon, or its peer, re-key the Child SA when it has moved in the kernel and charon was not told yet: it does so at the old
// addresses. That Child SA goes with the one that it came of.
func TestRekeyBetweenMoveAndFollow(t *testing.T) {
	for _, by := range topo.Gateways[:thin(1, 2)] {
		t.Run("by "+string(by), func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
				t.Fatal(err)
			}
			dense := sealed(t)
			ping, err := topo.StartPing(topo.Client4)
			if err != nil {
				t.Fatal(err)
			}
			defer ping.Stop()
			g := gate{t.TempDir()}
			cmd := n.OnGateway(topo.Left, "apply", "--yes", ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, follow+"\n"+g.check()))
			out := new(bytes.Buffer)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			g.reached(t)
			if out, err := n.Swanctl(by, "--rekey", "--child", "lan"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			g.open(t)
			cmd.Wait() // how it ended is in ProcessState
			t.Logf("apply:\n%s", out)
			if got := cmd.ProcessState.ExitCode(); got != 0 {
				t.Errorf("apply: exit code %d", got)
			}
			expect(t, applyPlan(t, n, topo.Right, ikePlan(t, n, topo.Right, topo.LeftISPA, topo.LeftISPB, follow)), 0)
			agree(t, n, topo.LeftISPA.String())
			bothAnswer(t)
			dense()
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}
