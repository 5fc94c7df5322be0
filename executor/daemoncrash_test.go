package executor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestKilledWhileTheDaemonIsTold kills the run at each point at which a daemon is told something, for a group that follows and for one that has lost an
// SA, and settles it either way with what the journal says. Then kernel and daemon are at one end, together.
func TestKilledWhileTheDaemonIsTold(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for _, at := range []string{"before establishing", "after establishing", "before retiring", "after retiring", "before renewing", "after renewing"} {
			for _, towards := range []executor.Outcome{executor.Done, executor.Undone} {
				for _, shares := range []bool{false, true} {
					if !shares && strings.Contains(at, "renewing") {
						continue
					}
					name := fmt.Sprintf("%s, lost %v, %s, shares %v", at, lost, towards, shares)
					t.Run(name, func(t *testing.T) {
						b, d := killed(t, lost, shares, at)
						finishKilled(t, b, d, towards)
						finishKilled(t, b, d, towards) // and once more: nothing is left to do
					})
				}
			}
		}
	}
}

// killed is a bench, prepared as wanted, whose run was killed.
func killed(t *testing.T, lost, shares bool, at string, prepare ...func(*bench, *daemon)) (*bench, *daemon) {
	t.Helper()
	b := newBench(t, 1, nil)
	fault := func(xfrmtest.At) xfrmtest.Effect { return xfrmtest.Effect{} }
	if lost {
		fault = lose(0)
	}
	p := new(xfrmtest.Process)
	b.cfg.Conn = xfrm.NewConn(p.Socket(b.k.Socket(), fault))
	d := owned(t, b, !lost, lost)
	if shares {
		share(b, d)
	}
	for _, f := range prepare {
		f(b, d)
	}
	note := b.cfg.IKE.Note
	b.cfg.IKE.Note = func(n ...ike.Note) error {
		if !p.Alive() {
			return xfrmtest.Killed
		}
		return note(n...)
	}
	d.dies, d.die = at, p.Kill
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err == nil || p.Alive() {
		t.Fatalf("the run was not killed: %v", err)
	}
	d.dies = ""
	return b, d
}

// finishKilled does what recover does, with the journal's last word on the daemon.
func finishKilled(t *testing.T, b *bench, d *daemon, towards executor.Outcome) {
	t.Helper()
	last := b.notes[len(b.notes)-1]
	conn := b.k.Dial()
	defer conn.Close()
	txs := []executor.Transaction{executor.NewTransaction(&b.plan.Groups[0])}
	r, err := executor.Finish(t.Context(), txs, towards, executor.Config{
		Conn: conn, Journal: &b.journal, Run: "test", Emit: func(executor.Event) {},
		IKE: &ike.Part{
			Driver: b.cfg.IKE.Driver, Follow: last.Follow, OnLoss: last.OnLoss, Config: plan.Reestablish{Timeout: 5 * time.Second},
			Moves: [][]ike.Move{slices.Clone(last.Moves)}, Steps: []ike.Step{last.Step},
			Note: func(n ...ike.Note) error { b.notes = append(b.notes, n...); return nil },
		},
	})
	where := "198.51.100.1"
	if towards == executor.Undone {
		where = "192.0.2.1"
	}
	sas := b.k.Snapshot().SAs
	if err != nil || r.Unsettled() != 0 || len(sas) != 2 || b.tagged() != 0 {
		t.Errorf("%v, %s: %d SAs, %d tagged, want 2 at %s", err, b.outcomes(r), len(sas), b.tagged(), where)
	}
	if len(d.children) != 1 || d.children[0].Local.String() != where {
		t.Errorf("the daemon has %v", d.children)
	}
	for _, sa := range sas {
		if sa.SrcIP().String() != where && sa.ID.DstIP().String() != where {
			t.Errorf("SA %v from %v is not at %s", sa.ID, sa.SrcIP(), where)
		}
		if len(d.children) == 1 && sa.ID.SPI != d.children[0].In && sa.ID.SPI != d.children[0].Out {
			t.Errorf("SA %v is not the daemon's", sa.ID)
		}
	}
	if d.sharing != nil && len(d.sharing.exposed) != 0 {
		t.Errorf("exposed: %v", d.sharing.exposed)
	}
	for _, p := range b.k.Snapshot().Policies {
		if len(p.Templates) != 1 || p.Templates[0].SrcIP().String() != where && p.Templates[0].DstIP().String() != where {
			t.Errorf("policy %v %v is not at %s", p.Dir, p.Sel, where)
		}
	}
}

// TestKilledWhileTheDaemonOfHostsIsTold is about policies whose selectors are the hosts' addresses: those at the old ones are others than those at the new ones,
// and the daemon puts none back that it has not taken away.
func TestKilledWhileTheDaemonOfHostsIsTold(t *testing.T) {
	for _, at := range []string{"before establishing", "after establishing", "before retiring", "after retiring"} {
		for _, towards := range []executor.Outcome{executor.Done, executor.Undone} {
			t.Run(fmt.Sprintf("%s, %s", at, towards), func(t *testing.T) {
				b, d := killed(t, false, false, at, renumberSelectors)
				finishKilled(t, b, d, towards)
				finishKilled(t, b, d, towards)
				for i := range b.plan.Groups[0].Policies {
					pc := &b.plan.Groups[0].Policies[i]
					want, gone := pc.New, pc.Old
					if towards == executor.Undone {
						want, gone = gone, want
					}
					has := func(p *xfrm.Policy) bool {
						return slices.ContainsFunc(b.k.Snapshot().Policies, func(q *xfrm.Policy) bool { return q.SameKey(p) })
					}
					if !has(want) || has(gone) {
						t.Errorf("policy %v %v: %v, %v: %v", want.Dir, want.Sel, has(want), gone.Sel, has(gone))
					}
				}
			})
		}
	}
}

// renumberSelectors has the plan's new policies, and those of its daemon at the new addresses, be over other packets.
func renumberSelectors(b *bench, d *daemon) {
	others := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: 50, Local: newLocal, Remote: b.tunnels[0].Out.ID.DstIP(), Dir: true})[0].Policies
	changes := b.plan.Groups[0].Policies
	for i := range changes {
		for j := range others {
			if changes[i].Old.SameKey(&b.tunnels[0].Policies[j]) {
				renumbered := *changes[i].New
				renumbered.Sel = others[j].Sel
				changes[i].New = &renumbered
			}
		}
	}
	d.shape = func(n *xfrmtest.ChildSA) {
		for j := range n.Policies {
			if n.In.ID.DstIP() == newLocal {
				n.Policies[j].Sel = others[j].Sel
			}
		}
	}
}
