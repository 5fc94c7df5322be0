package executor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

func TestRunMovesEveryGroup(t *testing.T) {
	for _, parallel := range []int{1, 2, 7} {
		b := newBench(t, 9, nil, plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
		b.cfg.Parallelism = parallel
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if err != nil || r.Count(executor.Done) != 9 || b.tagged() != 0 {
			t.Errorf("parallelism %d: %v, %s, %d tagged policies left", parallel, err, b.outcomes(r), b.tagged())
		}
		for i := range 9 {
			if b.at(i) != "198.51.100.1" {
				t.Errorf("tunnel %d is at %s", i, b.at(i))
			}
		}
	}
}

// TestGroupTakesSixDatagrams guards the speed of the way forward: check, block, migrate, switch, unblock, verify.
func TestGroupTakesSixDatagrams(t *testing.T) {
	sends := 0
	b := newBench(t, 4, func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.BeforeSend {
			sends++
		}
		return xfrmtest.Effect{}
	})
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil || sends != 4*6 {
		t.Errorf("%d datagrams for 4 groups, %v", sends, err)
	}
}

func TestApplyUndoesGroupWhenSecondCallFails(t *testing.T) {
	for _, tt := range []struct {
		onError  plan.OnError
		outcomes string
	}{
		{plan.OnErrorRollback, "undone undone untouched"},
		{plan.OnErrorStop, "done undone untouched"},
		{plan.OnErrorContinue, "done undone done"},
	} {
		t.Run(string(tt.onError), func(t *testing.T) {
			b := newBench(t, 3, refuse(xfrm.MsgMigrateState, 3, unix.EEXIST))
			b.cfg.OnError = tt.onError
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if !errors.Is(err, unix.EEXIST) || b.outcomes(r) != tt.outcomes {
				t.Errorf("%s, %v; want %s", b.outcomes(r), err, tt.outcomes)
			}
			if b.at(1) != "192.0.2.1" || b.tagged() != 0 {
				t.Errorf("tunnel 1 is at %s, %d tagged policies are left", b.at(1), b.tagged())
			}
			if len(r.Groups[1].Problems) == 0 || b.journal.settled[r.Groups[1].Name] != executor.Undone {
				t.Errorf("report %+v, journal %v", r.Groups[1], b.journal.settled)
			}
		})
	}
}

func TestEveryFailureOfAWaveIsTold(t *testing.T) {
	b := newBench(t, 4, func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.BeforeSend && at.Has(xfrm.MsgMigrateState) {
			return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{len(at.Messages) - 1: {Truth: xfrmtest.NotDone, Errno: unix.EEXIST}}}
		}
		return xfrmtest.Effect{}
	})
	b.cfg.OnError = plan.OnErrorContinue
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	for _, g := range r.Groups {
		if !strings.Contains(fmt.Sprint(err), g.Name) {
			t.Errorf("%s is not in the error: %v", g.Name, err)
		}
	}
}

func TestLostAnswerIsReadBackAndTheGroupCompleted(t *testing.T) {
	for _, typ := range []uint16{xfrm.MsgNewPolicy, xfrm.MsgMigrateState, xfrm.MsgDelPolicy} {
		lost := false
		migrations := 0
		b := newBench(t, 1, func(at xfrmtest.At) xfrmtest.Effect {
			if at.Point == xfrmtest.BeforeSend {
				for _, m := range at.Messages {
					if m.Type == xfrm.MsgMigrateState {
						migrations++
					}
				}
			}
			if at.Point == xfrmtest.AfterSend && at.Has(typ) && !lost {
				lost = true
				return xfrmtest.Effect{Lose: true}
			}
			return xfrmtest.Effect{}
		})
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if err != nil || b.outcomes(r) != "done" || b.tagged() != 0 || migrations != 2 {
			t.Errorf("answers to a datagram with %#x lost: %s, %v, %d tagged, %d migrations sent, want 2", typ, b.outcomes(r), err, b.tagged(), migrations)
		}
	}
}

// TestChangedGroupIsLeftAlone has what its owners do between the inventory and the transaction.
func TestChangedGroupIsLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *bench) error
		says   string
	}{
		{"re-keyed", func(b *bench) error { return b.k.Rekey(b.tunnels[0].Out.ID, xfrm.Mark{}, 0x77, true) }, "re-keyed"},
		{"SA deleted", func(b *bench) error { return b.k.DeleteSA(b.tunnels[0].In.ID, xfrm.Mark{}) }, "is gone"},
		{"policy rewritten", func(b *bench) error {
			p := b.tunnels[0].Policies[0]
			p.Flags = 1
			return b.k.RewritePolicy(p)
		}, "not what it was"},
		{"policy's index given to another", func(b *bench) error {
			c := b.k.Dial()
			defer c.Close()
			old := b.plan.Groups[0].Policies[0].Old
			other := *old
			other.Sel.Dst[1] = 99
			return errors.Join(c.Do(xfrm.DeletePolicy(old), xfrm.NewPolicy(&other))...)
		}, "not what it was"},
		{"SPD flushed", func(b *bench) error { return b.k.FlushPolicies() }, "is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 2, nil)
			b.cfg.OnError = plan.OnErrorContinue
			if err := tt.change(b); err != nil {
				t.Fatal(err)
			}
			before := describe(b.k)
			b.plan.Waves[0].Groups = []int{0}
			b.plan.Groups = b.plan.Groups[:1]
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if err == nil || b.outcomes(r) != "untouched" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", b.outcomes(r), err)
			}
			if after := describe(b.k); after != before {
				t.Errorf("it was touched:\n%s\nis now\n%s", before, after)
			}
		})
	}
}

func describe(k *xfrmtest.Kernel) string {
	var lines []string
	s := k.Snapshot()
	for _, sa := range s.SAs {
		lines = append(lines, fmt.Sprint(sa.ID, sa.SrcIP()))
	}
	for _, p := range s.Policies {
		lines = append(lines, fmt.Sprint(p.Dir, p.Sel, p.Index, p.Templates, p.Action))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestDeadJournalUndoesTheRunWhateverOnErrorSays(t *testing.T) {
	b := newBench(t, 3, nil, plan.WaveSpec{Name: "first", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	b.journal.fail = unix.ENOSPC
	b.cfg.OnError = plan.OnErrorContinue
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrJournal) || !errors.Is(err, unix.ENOSPC) || b.outcomes(r) != "undone untouched untouched" || b.at(0) != "192.0.2.1" {
		t.Errorf("%s, %v, at %s", b.outcomes(r), err, b.at(0))
	}
}

func TestInterruptEndsGroupsInFlightAndThenDoesWhatOnErrorSays(t *testing.T) {
	for onError, want := range map[plan.OnError]string{
		plan.OnErrorRollback: "undone untouched untouched", plan.OnErrorStop: "done untouched untouched",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench(t, 3, func(at xfrmtest.At) xfrmtest.Effect {
			if at.Has(xfrm.MsgMigrateState) {
				cancel()
			}
			return xfrmtest.Effect{}
		})
		b.cfg.OnError = onError
		r, err := executor.Run(ctx, b.plan, b.cfg)
		if !errors.Is(err, executor.ErrInterrupted) || !r.Interrupted || b.outcomes(r) != want || b.tagged() != 0 {
			t.Errorf("onError %s: %s, %v", onError, b.outcomes(r), err)
		}
	}
}

func TestGroupThatWaitsForOneThatFailedIsNotStarted(t *testing.T) {
	for _, parallel := range []int{1, 3} {
		b := newBench(t, 3, refuse(xfrm.MsgMigrateState, 1, unix.EEXIST))
		b.plan.Groups[1].After = []int{0}
		b.plan.Groups[2].After = []int{1}
		b.cfg.OnError, b.cfg.Parallelism = plan.OnErrorContinue, parallel
		ended := make(chan string)
		go func() {
			r, _ := executor.Run(t.Context(), b.plan, b.cfg)
			ended <- b.outcomes(r)
		}()
		select {
		case got := <-ended:
			if got != "undone untouched untouched" {
				t.Errorf("parallelism %d: %s", parallel, got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it waits for ever")
		}
	}
}

func TestPlanInWhichAGroupWouldWaitForEverIsRefused(t *testing.T) {
	b := newBench(t, 2, nil)
	b.plan.Groups[0].After = []int{1}
	if r, err := executor.Run(t.Context(), b.plan, b.cfg); err == nil || b.outcomes(r) != "untouched untouched" {
		t.Errorf("%s, %v", b.outcomes(r), err)
	}
}

// TestNothingIsToldWhileTrafficIsHeldBack: whoever listens may never come back.
func TestNothingIsToldWhileTrafficIsHeldBack(t *testing.T) {
	b := newBench(t, 2, nil)
	b.cfg.Emit = func(e executor.Event) {
		if n := b.tagged(); n != 0 {
			t.Errorf("event %s while %d temporary policies are there", e.Kind, n)
		}
	}
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil {
		t.Error(err)
	}
}

func TestCoversDontTakeIndexesOfOthers(t *testing.T) {
	b := newBench(t, 1, nil)
	var cover xfrm.Policy
	probe := newBench(t, 1, nil)
	probe.cfg.Conn = xfrm.NewConn(xfrmtest.Faulty(probe.k.Socket(), func(at xfrmtest.At) xfrmtest.Effect {
		for _, m := range at.Messages {
			if p, err := xfrm.DecodePolicy(m.Payload); at.Point == xfrmtest.BeforeSend && m.Type == xfrm.MsgNewPolicy && err == nil && p.Tagged() && cover.Index == 0 {
				cover = p
			}
		}
		return xfrmtest.Effect{}
	}))
	if _, err := executor.Run(t.Context(), probe.plan, probe.cfg); err != nil || cover.Index == 0 {
		t.Fatal(err, cover.Index)
	}
	cover.Sel.Dst[1] = 77 // a block that another run left over other traffic
	if err := b.k.RewritePolicy(cover); err != nil {
		t.Fatal(err)
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "untouched" || b.tagged() != 1 {
		t.Errorf("%s, %v, %d tagged policies", b.outcomes(r), err, b.tagged())
	}
}
