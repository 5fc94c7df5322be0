//go:build lab

package scenario

import (
	"os"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

const follow = "ike: {follow: reestablish}"

// impatient gives the daemon of a plan three seconds.
func impatient(t *testing.T, file string) string {
	t.Helper()
	return waiting(t, file, "3s")
}

// waiting gives the daemon of a plan so long.
func waiting(t *testing.T, file, timeout string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.Replace(string(text), "driver: ", "timeout: "+timeout+", driver: ", 1)
	if err := os.WriteFile(file, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGroupStaysMovedWhileItsDaemonCannotFollow moves while the peer's daemon answers nobody: the tunnel stays where it is, and recover --forward has
// the daemon follow when the peer is back; or recover brings the tunnel back.
func TestGroupStaysMovedWhileItsDaemonCannotFollow(t *testing.T) {
	for _, tt := range []struct {
		name, flag string
		move       topo.Move // as the peer sees it
		gone       string
	}{
		{"and follows later", "--forward", topo.MoveISPChange, topo.LeftISPA.String()},
		{"and goes back", "--yes", topo.Move{Left: topo.LeftISPA, Right: topo.RightISP, NewLeft: topo.LeftISPA, NewRight: topo.RightISP}, topo.LeftISPB.String()},
	}[:thin(1, 2)] {
		t.Run(tt.name, func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
				t.Fatal(err)
			}
			observeLoss(t, n, tt.move, func() {
				if err := n.PauseIKE(topo.Right); err != nil {
					t.Fatal(err)
				}
				file := impatient(t, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, follow))
				expect(t, applyPlan(t, n, topo.Left, file), 8, "does NOT follow", "recover --forward", "1 not-followed")
				s := snap(t)
				for _, sa := range s.SAs {
					if sa.Src != topo.LeftISPB && sa.Dst != topo.LeftISPB && sa.SPI != 0 {
						t.Errorf("an SA %v > %v", sa.Src, sa.Dst)
					}
				}
				if got := blocked(s); len(got) != 0 {
					t.Errorf("blocked: %v", got)
				}
				expect(t, applyPlan(t, n, topo.Left, file), 6, "recover")
				if err := n.ResumeIKE(topo.Right); err != nil {
					t.Fatal(err)
				}
				expect(t, recoverLeft(t, n, tt.flag), 0)
			})
			agree(t, n, tt.gone)
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}

// TestRollbackBringsTheDaemonBack undoes a run that the daemon has followed: it sets the Child SA up at the old addresses again.
func TestRollbackBringsTheDaemonBack(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	observeBy(t, n, topo.MoveISPChange, (*topo.Observation).ChecksWithDaemon, func() {
		expect(t, applyPlan(t, n, topo.Left, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, follow)), 0)
		agree(t, n, topo.LeftISPA.String())
		o, err := n.Run(topo.Left, "rollback", "--yes")
		if err != nil {
			t.Fatal(err)
		}
		t.Log(o.Output)
		expect(t, o, 0, "site/lan")
	})
	agree(t, n, topo.LeftISPB.String())
	if t.Failed() {
		dump(t, n)
	}
}
