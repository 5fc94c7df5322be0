package executor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// careless is a daemon that takes policies away with what it is told, or fails to do it.
type careless struct {
	*daemon
	amid string
	fail error
}

func (d careless) Establish(ctx context.Context, m *ike.Move) (c ike.ChildSA, err error) {
	if d.fail == nil {
		c, err = d.daemon.Establish(ctx, m)
	}
	if d.amid == "establish" {
		d.flush()
	}
	return c, d.failedOr(err)
}

func (d careless) failedOr(err error) error {
	if d.fail != nil {
		return d.fail
	}
	return err
}

func (d careless) Retire(ctx context.Context, old []ike.ChildSA) error {
	err := d.daemon.Retire(ctx, old)
	if d.amid == "retire" {
		d.flush()
	}
	return err
}

func (d careless) flush() {
	if err := d.k.FlushPolicies(); err != nil {
		d.t.Error(err)
	}
}

// TestPoliciesThatGoWhileTheDaemonFollowsAreBlocked: whatever is missing is blocked in all directions, the group says so, and recover puts it back.
func TestPoliciesThatGoWhileTheDaemonFollowsAreBlocked(t *testing.T) {
	for _, tt := range []struct {
		amid string
		fail error
	}{{"establish", nil}, {"establish", errNoPeer}, {"retire", nil}} {
		for _, towards := range []executor.Outcome{executor.Done, executor.Undone} {
			b := newBench(t, 1, nil)
			b.cfg.OnError = plan.OnErrorStop
			d := owned(t, b, true, false)
			b.cfg.IKE.Driver = careless{d, tt.amid, tt.fail}
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if err == nil || b.outcomes(r) != "blocked" || b.blocks() != 6 || b.tagged() != 6 {
				t.Errorf("%+v: %v, %s: %d blocks, %d tagged", tt, err, b.outcomes(r), b.blocks(), b.tagged())
			}
			if p := strings.Join(r.Groups[0].Problems, " "); !strings.Contains(p, "6 of them") || !strings.Contains(p, "policy out") {
				t.Errorf("%+v: the report says %q", tt, p)
			}
			b.cfg.IKE.Driver = d
			r, err = settleAs(t, b, towards)
			if err != nil || r.Unsettled() != 0 || b.tagged() != 0 || len(policiesOf(b, 0)) != 6 || len(d.children) != 1 {
				t.Errorf("%+v, %s: %v, %s: %d tagged, %d policies, the daemon has %v", tt, towards, err, b.outcomes(r), b.tagged(), len(policiesOf(b, 0)), d.children)
			}
		}
	}
}

// TestPolicyThatLetsThroughInTheClearIsBlocked has somebody replace a policy by a bypass while the daemon follows.
func TestPolicyThatLetsThroughInTheClearIsBlocked(t *testing.T) {
	b := newBench(t, 1, nil)
	b.cfg.OnError = plan.OnErrorStop
	d := owned(t, b, true, false)
	d.began = func() {
		c := b.k.Dial()
		defer c.Close()
		for _, p := range policiesOf(b, 0) {
			bypass := *p
			bypass.Templates = nil
			for _, err := range c.Do(xfrm.UpdatePolicy(&bypass)) {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}
	d.failOf = map[string]error{"c0": errNoPeer}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "blocked" || b.blocks() != 6 {
		t.Errorf("%v, %s: %d blocks", err, b.outcomes(r), b.blocks())
	}
}

// TestPoliciesThatGoAreBlockedWhileTheDaemonIsAtIt: a daemon may take a minute, which is no time to let packets out in the clear. Where the group is settled
// when the daemon has done its part, the blocks go again.
func TestPoliciesThatGoAreBlockedWhileTheDaemonIsAtIt(t *testing.T) {
	for _, lost := range []bool{false, true} {
		var fault xfrmtest.Fault
		want, left := "blocked", 6
		if lost {
			fault, want, left = lose(0), "done", 0
		}
		b := newBench(t, 1, fault)
		b.cfg.OnError = plan.OnErrorStop
		d := owned(t, b, !lost, lost)
		d.began = func() {
			time.Sleep(3 * 20 * time.Millisecond) // for them to have been counted
			if err := b.k.FlushPolicies(); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(5 * time.Second); b.blocks() != 6; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("lost %v: %d blocks while the daemon is at it", lost, b.blocks())
					return
				}
			}
		}
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if (err == nil) != lost || b.outcomes(r) != want || b.tagged() != left {
			t.Errorf("lost %v: %v, %s, %d tagged", lost, err, b.outcomes(r), b.tagged())
		}
		d.began = nil
		if r, err = settleAs(t, b, executor.Done); err != nil || r.Unsettled() != 0 || b.tagged() != 0 || len(policiesOf(b, 0)) != 6 {
			t.Errorf("lost %v: recover: %v, %s, %d tagged", lost, err, b.outcomes(r), b.tagged())
		}
	}
}
