package executor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestSARekeyedRightBeforeItMoves: -ESRCH is no failure of the group, which is computed again.
func TestSARekeyedRightBeforeItMoves(t *testing.T) {
	var b *bench
	n := 0
	b = newBench(t, 4, func(at xfrmtest.At) (e xfrmtest.Effect) {
		if at.Point == xfrmtest.BeforeSend && at.Has(xfrm.MsgMigrateState) {
			if n++; n == 3 {
				e.Run = func() { rekey(t, b, 2) }
			}
		}
		return e
	})
	watched(t, b, func() {})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done done done" || b.at(2) != "198.51.100.1" || b.tagged() != 0 {
		t.Errorf("%v, %s, tunnel at %s, %d tagged", err, b.outcomes(r), b.at(2), b.tagged())
	}
	if g := r.Groups[2]; len(g.Spans) != 2 || len(g.Answers) == 0 {
		t.Errorf("%d spans, answers %v: the report leaves out that it was held back twice, and why", len(g.Spans), g.Answers)
	}
}

func rekey(t *testing.T, b *bench, tunnel int) {
	t.Helper()
	for i, sa := range []xfrm.SA{b.tunnels[tunnel].In, b.tunnels[tunnel].Out} {
		if err := b.k.Rekey(sa.ID, sa.Mark, xfrm.SPI(0xe0000001+2*tunnel+i), true); err != nil {
			t.Error(err)
		}
	}
}

// TestManyRekeyedGroupsAreComputedOnce: what was computed for one is used for the others, as long as it holds.
func TestManyRekeyedGroupsAreComputedOnce(t *testing.T) {
	const n = 40
	b := newBench(t, n, nil, inTwoWaves(time.Millisecond)...)
	watched(t, b, func() {
		for i := n / 2; i < n; i++ {
			rekey(t, b, i)
		}
	})
	calls, compute := 0, b.cfg.Recompute
	b.cfg.Recompute = func() (*plan.Plan, *ike.Part, error) { calls++; return compute() }
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || r.Count(executor.Done) != n || calls > 2 { // one more for stragglers
		t.Errorf("%v, %d done, computed %d times", err, r.Count(executor.Done), calls)
	}
}

// TestParallelGroupsAreComputedAgain: the temporary policies of the groups beside it don't keep a group from being computed.
func TestParallelGroupsAreComputedAgain(t *testing.T) {
	const n = 30
	b := newBench(t, n, nil, inTwoWaves(time.Millisecond)...)
	b.cfg.Parallelism = 8
	watched(t, b, func() {
		for i := n / 2; i < n; i++ {
			rekey(t, b, i)
		}
	})
	if r, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil || r.Count(executor.Done) != n {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
}

// TestRekeyedGroupIsArrangedWithItsDaemonAgain: what the daemon was to do was about the Child SA that it has re-keyed since.
func TestRekeyedGroupIsArrangedWithItsDaemonAgain(t *testing.T) {
	b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
	d := owned(t, b, true, false)
	watched(t, b, func() {
		rekey(t, b, 1)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.children[1].In, d.children[1].Out = 0xe0000003, 0xe0000004
	})
	compute := b.cfg.Recompute
	b.cfg.Recompute = func() (*plan.Plan, *ike.Part, error) {
		p, _, err := compute()
		part := *b.cfg.IKE
		part.Moves = nil
		for i := range p.Groups {
			part.Moves = append(part.Moves, []ike.Move{ownedMove(&p.Groups[i])})
		}
		return p, &part, err
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done" || b.tagged() != 0 {
		t.Fatalf("%v, %s, %d tagged", err, b.outcomes(r), b.tagged())
	}
	for _, c := range d.children {
		if c.Connection == "old" {
			t.Errorf("the daemon still has %v", &c)
		}
	}
	for _, sa := range b.k.Snapshot().SAs {
		if sa.ID.SPI >= 0xe0000000 || sa.SrcIP().String() == "192.0.2.1" {
			t.Errorf("SA %v was left", sa.ID)
		}
	}
}

// TestGroupThatCanNotBeComputedAgainWasHeldBackOnce: what was brought back for a re-key and can't be tried again has its one span in the report.
func TestGroupThatCanNotBeComputedAgainWasHeldBackOnce(t *testing.T) {
	var b *bench
	n := 0
	b = newBench(t, 4, func(at xfrmtest.At) (e xfrmtest.Effect) {
		if at.Point == xfrmtest.BeforeSend && at.Has(xfrm.MsgMigrateState) {
			if n++; n == 3 {
				e.Run = func() { rekey(t, b, 2) }
			}
		}
		return e
	})
	b.cfg.OnError = plan.OnErrorStop
	watched(t, b, func() {})
	compute, calls := b.cfg.Recompute, 0
	b.cfg.Recompute = func() (*plan.Plan, *ike.Part, error) {
		if calls++; calls > 1 {
			return nil, nil, errors.New("the tables change all the time")
		}
		p, part, err := compute()
		for i, spi := range []xfrm.SPI{0xe0000005, 0xe0000006} { // once more
			sa := []xfrm.SA{b.tunnels[2].In, b.tunnels[2].Out}[i]
			sa.ID.SPI = spi
			if err := b.k.Rekey(sa.ID, sa.Mark, spi+0x100, true); err != nil {
				t.Error(err)
			}
		}
		return p, part, err
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "done done undone untouched" || b.at(2) != "192.0.2.1" || b.tagged() != 0 {
		t.Errorf("%v, %s, tunnel at %s, %d tagged", err, b.outcomes(r), b.at(2), b.tagged())
	}
	if g := r.Groups[2]; len(g.Spans) != 1 || g.Spans[0].From.IsZero() {
		t.Errorf("spans %v", g.Spans)
	}
}
