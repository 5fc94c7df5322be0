//go:build lab

package scenario

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestSPDIsFlushedWhileTheDaemonHangs flushes the SPD while charon waits for a peer that doesn't answer: the tunnel is blocked in every direction long before
// charon is through, and recover puts its policies back and has charon follow.
func TestSPDIsFlushedWhileTheDaemonHangs(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	if err := n.PauseIKE(topo.Right); err != nil {
		t.Fatal(err)
	}
	ping, err := topo.StartPing(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	defer ping.Stop()
	policies := len(snap(t).Policies)
	cmd := n.OnGateway(topo.Left, "apply", "--yes", waiting(t, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, follow), "20s"))
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	err = topo.Until(20*time.Second, func() (bool, error) {
		listed, err := n.Swanctl(topo.Left, "--list-sas", "--ike", successor)
		return strings.Contains(listed, "CONNECTING"), err
	})
	if err != nil {
		t.Fatalf("charon was not told to follow: %v", err)
	}
	if _, err := topo.Left.Run("ip", "xfrm", "policy", "flush"); err != nil {
		t.Fatal(err)
	}
	if err := topo.Until(5*time.Second, func() (bool, error) { return len(blocked(snap(t))) == policies, nil }); err != nil {
		t.Errorf("blocked while charon waits: %v", blocked(snap(t)))
	}
	dense := sealed(t)
	cmd.Wait() // how it ended is in ProcessState
	t.Logf("apply:\n%s", out)
	if got := cmd.ProcessState.ExitCode(); got != 8 || !strings.Contains(out.String(), "stays blocked") {
		t.Errorf("apply: exit code %d", got)
	}
	if err := n.ResumeIKE(topo.Right); err != nil {
		t.Fatal(err)
	}
	expect(t, recoverLeft(t, n, "--forward"), 0)
	agree(t, n, topo.LeftISPA.String())
	bothAnswer(t)
	dense()
	if t.Failed() {
		dump(t, n)
	}
}
