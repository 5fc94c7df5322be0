package executor_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

var (
	oldLocal = netip.MustParseAddr("192.0.2.1")
	newLocal = netip.MustParseAddr("198.51.100.1")
)

// program makes the daemon of a bench one that a program of the operator's sees to, which can only be told.
type program struct {
	*daemon
	follows bool // it has the daemon set up what it is told; else it does nothing and says that all is well
}

func programOf(b *bench, d *daemon, follows bool) {
	for i := range b.cfg.IKE.Moves {
		for j := range b.cfg.IKE.Moves[i] {
			b.cfg.IKE.Moves[i][j].Old = nil
		}
	}
	b.cfg.IKE.Driver = program{d, follows}
}

func (p program) ChildSAs(context.Context) ([]ike.ChildSA, error) {
	return nil, fmt.Errorf("a program tells of no SAs: %w", errors.ErrUnsupported)
}
func (p program) Retire(context.Context, []ike.ChildSA) error { return nil }
func (p program) Establish(_ context.Context, m *ike.Move) (ike.ChildSA, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprintf("establish %s at %v", m.Group, m.Local))
	if p.follows {
		like := p.children[0]
		p.drop([]ike.ChildSA{like})
		p.install(like, m.Local)
	}
	return ike.ChildSA{}, nil
}

// TestProgramGoesBackAfterTheKernel has the second wave fail after a program was told of the first one: a program finds the SAs where it is told that they
// are, whether it has them negotiated anew or not.
func TestProgramGoesBackAfterTheKernel(t *testing.T) {
	for _, follows := range []bool{false, true} {
		b := newBench(t, 2, refuse(xfrm.MsgMigrateState, 2, unix.EEXIST), plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
		d := owned(t, b, true, false)
		programOf(b, d, follows)
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if !errors.Is(err, unix.EEXIST) || b.outcomes(r) != "undone undone" || b.at(0) != "192.0.2.1" || b.at(1) != "192.0.2.1" || b.tagged() != 0 {
			t.Errorf("follows %v: %v, %s: tunnels at %s and %s", follows, err, b.outcomes(r), b.at(0), b.at(1))
		}
		for i := range 2 {
			for _, p := range policiesOf(b, i) {
				if p.Templates[0].SrcIP() != oldLocal && p.Templates[0].DstIP() != oldLocal {
					t.Errorf("follows %v: policy %v %v is not at the old addresses", follows, p.Dir, p.Sel)
				}
			}
		}
		if last := d.told[len(d.told)-1]; !strings.HasSuffix(last, "at 192.0.2.1") {
			t.Errorf("follows %v: it was told %q", follows, d.told)
		}
	}
}

// TestDeadJournalUndoesWhatTheDaemonWasTold has the disk fill up before each of the notes of a group that follows.
func TestDeadJournalUndoesWhatTheDaemonWasTold(t *testing.T) {
	for dies, step := range []ike.Step{ike.Intended, ike.Establishing, ike.Retiring, ike.Followed} {
		t.Run(string(step), func(t *testing.T) {
			b := newBench(t, 1, nil)
			d := owned(t, b, true, false)
			b.cfg.IKE.Driver = strict{d}
			note, noted := b.cfg.IKE.Note, 0
			b.cfg.IKE.Note = func(n ...ike.Note) error {
				if noted++; noted > dies {
					return unix.ENOSPC
				}
				return note(n...)
			}
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if !errors.Is(err, executor.ErrJournal) || r.Unsettled() != 0 || b.at(0) != "192.0.2.1" || b.tagged() != 0 || len(b.k.Snapshot().SAs) != 2 {
				t.Errorf("%v, %s: at %s, %d SAs", err, b.outcomes(r), b.at(0), len(b.k.Snapshot().SAs))
			}
			if len(d.children) != 1 || d.children[0].Local != oldLocal {
				t.Errorf("the daemon has %v", d.children)
			}
			if (dies < 2) != (len(d.told) == 0) {
				t.Errorf("the daemon was told %q", d.told)
			}
		})
	}
}

// strict is a daemon that has to be told which Child SA it is that moves, as charon's driver has.
type strict struct{ *daemon }

func (d strict) Establish(ctx context.Context, m *ike.Move) (ike.ChildSA, error) {
	if len(m.Old) == 0 {
		return ike.ChildSA{}, errors.New("the group has no Child SA of its")
	}
	return d.daemon.Establish(ctx, m)
}

// settleAs settles the groups of a bench the way recover does, with what their run has noted last.
func settleAs(t *testing.T, b *bench, towards executor.Outcome) (*executor.Report, error) {
	t.Helper()
	last := map[string]ike.Note{}
	for _, n := range b.notes {
		last[n.Group] = n
	}
	conn := b.k.Dial()
	defer conn.Close()
	part := *b.cfg.IKE
	part.Moves = nil
	var txs []executor.Transaction
	for i := range b.plan.Groups {
		n := last[b.plan.Groups[i].Name]
		txs = append(txs, executor.NewTransaction(&b.plan.Groups[i]))
		part.Moves, part.Steps = append(part.Moves, n.Moves), append(part.Steps, n.Step)
	}
	return executor.Finish(t.Context(), txs, towards, executor.Config{Conn: conn, Journal: &b.journal, Run: "test", Emit: func(executor.Event) {}, IKE: &part})
}

// TestFollowedGroupThatIsNowhereIsNotUntouched: nothing is found of a Child SA that was followed, at the old addresses or at the new ones.
func TestFollowedGroupThatIsNowhereIsNotUntouched(t *testing.T) {
	b := newBench(t, 1, nil)
	d := owned(t, b, true, false)
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.drop(slices.Clone(d.children))
	d.mu.Unlock()
	if err := b.k.FlushPolicies(); err != nil {
		t.Fatal(err)
	}
	r, err := settleAs(t, b, executor.Undone)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
	if r, err = settleAs(t, b, executor.Done); err != nil || r.Unsettled() != 0 {
		t.Errorf("forward: %v, %s", err, b.outcomes(r))
	}
}

// TestHalfOfAGroupGoesBack has one Child SA of a group follow and the other one not: going back, the one is set up anew and the other one moves.
func TestHalfOfAGroupGoesBack(t *testing.T) {
	b := newBench(t, 2, nil)
	d := owned(t, b, true, false)
	oneGroup(b)
	b.cfg.IKE.Driver = strict{d}
	d.failOf = map[string]error{"c1": errors.New("the peer does not answer")}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" {
		t.Fatalf("%v, %s", err, b.outcomes(r))
	}
	r, err = settleAs(t, b, executor.Undone)
	if err != nil || b.outcomes(r) != "undone" || b.at(0) != "192.0.2.1" || b.at(1) != "192.0.2.1" || len(b.k.Snapshot().SAs) != 4 || len(d.children) != 2 {
		t.Errorf("%v, %s: at %s and %s, %d SAs, the daemon has %v", err, b.outcomes(r), b.at(0), b.at(1), len(b.k.Snapshot().SAs), d.children)
	}
}

// oneGroup makes one group of the groups of a bench.
func oneGroup(b *bench) {
	g := &b.plan.Groups[0]
	for i := range b.plan.Groups[1:] {
		more := &b.plan.Groups[i+1]
		g.Calls = append(g.Calls, more.Calls...)
		g.Policies = append(g.Policies, more.Policies...)
		b.cfg.IKE.Moves[0] = append(b.cfg.IKE.Moves[0], b.cfg.IKE.Moves[i+1]...)
	}
	b.plan.Groups, b.cfg.IKE.Moves = b.plan.Groups[:1], b.cfg.IKE.Moves[:1]
	b.plan.Waves[0].Groups = []int{0}
}
