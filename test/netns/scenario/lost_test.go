//go:build lab

package scenario

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/ike"
	planning "github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/schema"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// applyFaulty does what apply does on the left gateway, in this process, on a socket to the real kernel that a fault stands in front of. The run is in the
// gateway's state directory, for the program to recover.
func applyFaulty(t *testing.T, n *topo.Network, file string, fault xfrmtest.Fault) *executor.Report {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := schema.Load(file, data)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := host.Open(string(topo.Left))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	sock, err := xfrm.DialSocket(ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	conn := xfrm.NewConn(xfrmtest.Faulty(sock, fault))
	defer conn.Close()
	inv, err := ns.Inventory(conn)
	if err != nil {
		t.Fatal(err)
	}
	p := planning.Compute(doc, inv)
	part, err := ike.Consult(t.Context(), doc, p)
	if err != nil || len(p.Refusals) != 0 {
		t.Fatalf("%v, refused: %v", err, p.Refusals)
	}
	journal := newJournal(t, n, conn, doc)
	part.Note = journal.Daemon
	r, err := executor.Run(t.Context(), p, executor.Config{
		Conn: conn, Journal: journal, Emit: func(e executor.Event) { t.Logf("%s %s %s", e.Kind, e.Group, e.Text) },
		Run: "lost", OnError: doc.OnError, IKE: part,
	})
	t.Logf("the run ended with %v", err)
	if r.Unsettled() == 0 {
		err = journal.End()
	} else {
		err = journal.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newJournal(t *testing.T, n *topo.Network, conn *xfrm.Conn, doc *planning.Document) *rollback.Journal {
	t.Helper()
	cookie, err := conn.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	state, err := rollback.OpenStateDir(n.StateDir(topo.Left))
	if err != nil {
		t.Fatal(err)
	}
	j, err := state.Create(rollback.Header{
		Run: "lost", Plan: doc.Metadata.Name, Digest: doc.Digest, BootID: boot, Cookie: cookie, Started: time.Now().Add(rand.N(time.Microsecond)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// loses makes the kernel lose the SA of the nth MIGRATE_STATE: it answers EEXIST, and the SA is at neither of its tuples.
func loses(nth int) xfrmtest.Fault {
	done := false
	return func(at xfrmtest.At) xfrmtest.Effect {
		if done || at.Point != xfrmtest.BeforeSend || !at.Has(xfrm.MsgMigrateState) {
			return xfrmtest.Effect{}
		}
		done = true
		seen := 0
		for i, m := range at.Messages {
			if m.Type == xfrm.MsgMigrateState {
				if seen == nth {
					return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{i: {Truth: xfrmtest.BothGone, Errno: unix.EEXIST, Reason: "lost on purpose"}}}
				}
				seen++
			}
		}
		return xfrmtest.Effect{}
	}
}

const onLoss = "onExist: reestablish\nike: {follow: none}"

// TestLostSAIsSetUpAgain loses an SA in the middle of a transaction, the inbound and the outbound one. The daemon sets the Child SA up at the new
// addresses, and until it has, nothing leaves.
func TestLostSAIsSetUpAgain(t *testing.T) {
	for i, name := range []string{"inbound", "outbound"}[:thin(1, 2)] {
		t.Run(name, func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, "dpd_delay = 1s"); err != nil {
				t.Fatal(err)
			}
			observeBy(t, n, topo.MoveISPChange, (*topo.Observation).ChecksWithDaemon, func() {
				r := applyFaulty(t, n, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, onLoss), loses(i))
				g := r.Groups[0]
				if g.Outcome != executor.Done || !strings.Contains(strings.Join(g.Problems, " "), "lost on purpose") {
					t.Errorf("the report says %+v", g)
				}
			})
			agree(t, n, topo.LeftISPA.String())
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}

// TestLostSAStaysBlockedWithoutItsPeer loses an SA while the peer's daemon doesn't answer: the tunnel stays blocked, recover says what there is to do, and
// does it when the peer is back, at the new addresses or at the old ones.
func TestLostSAStaysBlockedWithoutItsPeer(t *testing.T) {
	for _, back := range []bool{false, true}[:thin(1, 2)] {
		t.Run(fmt.Sprintf("back %v", back), func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, "dpd_delay = 1s"); err != nil {
				t.Fatal(err)
			}
			m, gone := topo.MoveISPChange, topo.LeftISPA
			if back {
				m.NewLeft, gone = m.Left, m.NewLeft
			}
			observeLoss(t, n, m, func() {
				loseWithoutPeer(t, n, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, onLoss), "--initiate --ike site-b --child lan", back)
			})
			agree(t, n, gone.String())
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}

// loseWithoutPeer loses an SA while the peer's daemon is paused, and recovers in vain. Then it lets the peer go on and recovers, forward or back.
func loseWithoutPeer(t *testing.T, n *topo.Network, plan, hint string, back bool) {
	t.Helper()
	if err := n.PauseIKE(topo.Right); err != nil {
		t.Fatal(err)
	}
	r := applyFaulty(t, n, impatient(t, plan), loses(0))
	problems := strings.Join(r.Groups[0].Problems, "\n")
	if r.Groups[0].Outcome != executor.Stuck || !strings.Contains(problems, "recover --forward") || !strings.Contains(problems, hint) {
		t.Errorf("the report says %+v", r.Groups[0])
	}
	t.Log(problems)
	if got := blocked(snap(t)); len(got) != r.Groups[0].Policies/3 { // out, in, fwd
		t.Errorf("blocked: %v", got)
	}
	expect(t, recoverLeft(t, n), 8, "blocked")
	if err := n.ResumeIKE(topo.Right); err != nil {
		t.Fatal(err)
	}
	if back {
		expect(t, recoverLeft(t, n), 0)
	} else {
		expect(t, recoverLeft(t, n, "--forward"), 0)
	}
}

// observeLoss is observeBy for a time in which pings are not answered, which is not judged.
func observeLoss(t *testing.T, n *topo.Network, m topo.Move, move func()) {
	t.Helper()
	observeBy(t, n, m, func(o *topo.Observation, m topo.Move) (kept []topo.Check) {
		for _, c := range o.ChecksWithDaemon(m) {
			if !strings.Contains(c.What, "pings") {
				kept = append(kept, c)
			}
		}
		return kept
	}, move)
}

func recoverLeft(t *testing.T, n *topo.Network, args ...string) topo.Outcome {
	t.Helper()
	o, err := n.Run(topo.Left, append([]string{"recover", "--yes"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("recover %v:\n%s", args, o.Output)
	return o
}
