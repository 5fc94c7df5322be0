package executor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
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
