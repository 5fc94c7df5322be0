package executor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestPoliciesDeletedAtAnyMoment has somebody delete policies right before each datagram of a run in turn, also of one that fails and undoes itself.
// However it ends, every tunnel is whole then: where it is, its traffic is protected both ways, and nothing temporary is left.
func TestPoliciesDeletedAtAnyMoment(t *testing.T) {
	const tunnels = 4
	deletions := map[string]func(*testing.T, *bench){
		"all": func(t *testing.T, b *bench) {
			if err := b.k.FlushPolicies(); err != nil {
				t.Error(err)
			}
		},
		"outbound ones of one": func(t *testing.T, b *bench) {
			c := b.k.Dial()
			defer c.Close()
			for _, p := range policiesOf(b, 2) {
				if p.Dir == xfrm.DirOut {
					_ = c.Do(xfrm.DeletePolicy(p))
				}
			}
		},
	}
	for name, deleted := range deletions {
		for _, onError := range []plan.OnError{plan.OnErrorRollback, plan.OnErrorStop, plan.OnErrorContinue} {
			for _, failing := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, fails %v", name, onError, failing), func(t *testing.T) {
					for n := 1; ; n++ {
						if !deletedAt(t, n, tunnels, onError, failing, deleted) {
							t.Logf("%d datagrams", n-1)
							return
						}
					}
				})
			}
		}
	}
}

// deletedAt runs with policies deleted before the nth datagram, and reports whether there was one.
func deletedAt(t *testing.T, n, tunnels int, onError plan.OnError, failing bool, deleted func(*testing.T, *bench)) (some bool) {
	t.Helper()
	var b *bench
	sends, calls := 0, 0
	b = newBench(t, tunnels, func(at xfrmtest.At) (e xfrmtest.Effect) {
		if at.Point != xfrmtest.BeforeSend || b == nil || b.cfg.Monitor == nil {
			return e
		}
		if sends++; sends == n && !some {
			some = true
			e.Run = func() { deleted(t, b) }
		}
		if at.Has(xfrm.MsgMigrateState) {
			if calls++; failing && calls == tunnels {
				e.Lies = map[int]xfrmtest.Lie{len(at.Messages) - 1: {Truth: xfrmtest.NotDone, Errno: unix.EEXIST}}
			}
		}
		return e
	})
	b.cfg.OnError = onError
	whole := len(policiesOf(b, 0))
	watched(t, b, func() {})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	for i := range tunnels {
		out := b.k.Send(xfrmtest.Example(&b.tunnels[i].Policies[0].Sel))
		in := b.k.Receive(xfrmtest.Arrival{Inner: xfrmtest.Example(&b.tunnels[i].Policies[1].Sel)})
		if got := len(policiesOf(b, i)); out.Fate != xfrmtest.Protected || in.Fate != xfrmtest.Dropped || got != whole || b.tagged() != 0 {
			t.Errorf("before datagram %d: tunnel %d, reported %s, at %s: outbound %v, cleartext inbound %v, %d policies, want %d, %d tagged are left\n%v",
				n, i, r.Groups[i].Outcome, b.at(i), out.Fate, in.Fate, got, whole, b.tagged(), err)
		}
	}
	return some
}

// TestFlushedSPDIsBlockedInward: an inbound policy that is gone lets cleartext in, so that it is blocked as the outbound ones are, until it is put back.
func TestFlushedSPDIsBlockedInward(t *testing.T) {
	b := newBench(t, 3, nil, inTwoWaves(time.Hour)...)
	b.cfg.OnError = plan.OnErrorStop
	watched(t, b, func() {
		if err := b.k.FlushPolicies(); err != nil {
			t.Error(err)
		}
	})
	emit, seen := b.cfg.Emit, false
	b.cfg.Emit = func(e executor.Event) {
		emit(e)
		if e.Kind != executor.Note || seen {
			return
		}
		seen = true
		for i := range 3 {
			in := b.k.Receive(xfrmtest.Arrival{Inner: xfrmtest.Example(&b.tunnels[i].Policies[1].Sel)})
			if out := b.k.Send(xfrmtest.Example(&b.tunnels[i].Policies[0].Sel)); out.Fate != xfrmtest.Blocked || in.Fate != xfrmtest.Dropped {
				t.Errorf("tunnel %d: outbound %v, cleartext inbound %v, when it is said to be blocked", i, out.Fate, in.Fate)
			}
		}
	}
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); !errors.Is(err, executor.ErrUnprotected) || !seen {
		t.Errorf("%v, told of it: %v", err, seen)
	}
}

// TestRecoveryPutsBackWhatWasDeletedMeanwhile: between a crash and recovery somebody may delete a policy of a tunnel that has moved, or of one that the run
// never came to. Either way its SAs are there, and nothing protects its traffic.
func TestRecoveryPutsBackWhatWasDeletedMeanwhile(t *testing.T) {
	for _, towards := range []executor.Outcome{executor.Done, executor.Undone} {
		for moves := range 3 { // of two tunnels
			for _, dir := range []xfrm.Dir{xfrm.DirOut, xfrm.DirIn} {
				b := newBench(t, 2, nil, inTwoWaves(0)...)
				ctx, stop := context.WithCancel(t.Context())
				b.cfg.OnError = plan.OnErrorStop
				done := 0
				b.cfg.Emit = func(e executor.Event) {
					if e.Kind == executor.GroupDone {
						done++
					}
					if done == moves {
						stop()
					}
				}
				if moves == 0 {
					stop()
				}
				_, _ = executor.Run(ctx, b.plan, b.cfg)
				c := b.k.Dial()
				for i := range 2 {
					for _, p := range policiesOf(b, i) {
						if p.Dir == dir {
							_ = c.Do(xfrm.DeletePolicy(p))
						}
					}
				}
				c.Close()
				b.cfg.Emit = func(executor.Event) {}
				r, err := executor.Finish(t.Context(), b.transactions(), towards, b.cfg)
				for i := range 2 {
					out := b.k.Send(xfrmtest.Example(&b.tunnels[i].Policies[0].Sel))
					in := b.k.Receive(xfrmtest.Arrival{Inner: xfrmtest.Example(&b.tunnels[i].Policies[1].Sel)})
					if err != nil || out.Fate != xfrmtest.Protected || in.Fate != xfrmtest.Dropped {
						t.Errorf("%s, %d moved, %v policies deleted: tunnel %d, reported %s, at %s: outbound %v, cleartext inbound %v: %v",
							towards, moves, dir, i, r.Groups[i].Outcome, b.at(i), out.Fate, in.Fate, err)
					}
				}
			}
		}
	}
}

// TestFollowedGroupIsLookedAfter: what its daemon has set up anew loses its policies like anything else when the SPD is flushed.
func TestFollowedGroupIsLookedAfter(t *testing.T) {
	for _, onError := range []plan.OnError{plan.OnErrorRollback, plan.OnErrorStop, plan.OnErrorContinue} {
		b := newBench(t, 3, nil, inTwoWaves(time.Hour)...)
		b.cfg.OnError = onError
		owned(t, b, true, false)
		watched(t, b, func() {
			if err := b.k.FlushPolicies(); err != nil {
				t.Error(err)
			}
		})
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if !errors.Is(err, executor.ErrUnprotected) {
			t.Errorf("%s: %v", onError, err)
		}
		for i := range 3 {
			out := b.k.Send(xfrmtest.Example(&b.tunnels[i].Policies[0].Sel))
			in := b.k.Receive(xfrmtest.Arrival{Inner: xfrmtest.Example(&b.tunnels[i].Policies[1].Sel)})
			if out.Fate != xfrmtest.Protected || in.Fate != xfrmtest.Dropped || b.tagged() != 0 {
				t.Errorf("%s: tunnel %d, reported %s, at %s: outbound %v, cleartext inbound %v, %d tagged are left: %v",
					onError, i, r.Groups[i].Outcome, b.at(i), out.Fate, in.Fate, b.tagged(), err)
			}
		}
	}
}

// TestPoliciesThatComeBackInTime: who replaces all policies, as a script that loads them anew does, has the tunnels blocked for a moment and ends no run.
func TestPoliciesThatComeBackInTime(t *testing.T) {
	defer executor.SetClosing(time.Second)()
	b := newBench(t, 3, nil, inTwoWaves(1500*time.Millisecond)...)
	var back sync.WaitGroup
	watched(t, b, func() {
		var again []xfrm.Request
		for _, p := range b.k.Snapshot().Policies {
			again = append(again, xfrm.NewPolicy(p))
		}
		if err := b.k.FlushPolicies(); err != nil {
			t.Error(err)
		}
		back.Go(func() {
			for b.tagged() == 0 && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			c := b.k.Dial()
			defer c.Close()
			if err := errors.Join(c.Do(again...)...); err != nil {
				t.Error(err)
			}
		})
	})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	back.Wait()
	if err != nil || b.outcomes(r) != "done done done" || b.tagged() != 0 {
		t.Errorf("%v, %s, %d tagged are left", err, b.outcomes(r), b.tagged())
	}
}
