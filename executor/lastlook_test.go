package executor_test

import (
	"errors"
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

// TestReportTellsWhatOthersDidToAMovedGroup: the first tunnel is rewritten or deleted by its owner when it has moved and the run goes on.
func TestReportTellsWhatOthersDidToAMovedGroup(t *testing.T) {
	for _, tt := range []struct {
		name string
		does func(b *bench) error
		says string
	}{
		{"nothing", func(*bench) error { return nil }, ""},
		{"policy rewritten", func(b *bench) error {
			p := *outbound(b, 0)
			p.Priority--
			return b.k.RewritePolicy(p)
		}, "was rewritten by somebody else"},
		{"policy put back", func(b *bench) error { return b.k.RewritePolicy(*b.plan.Groups[0].Policies[0].Old) }, "was put back by somebody else as it was before"},
		{"SA deleted", func(b *bench) error {
			for _, sa := range b.k.Snapshot().SAs {
				if sa.Reqid == 1 && sa.Dir == xfrm.SADirOut {
					return b.k.DeleteSA(sa.ID, sa.Mark)
				}
			}
			return errors.New("no SA")
		}, "was deleted by its owner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
			watched(t, b, func() {
				if err := tt.does(b); err != nil {
					t.Error(err)
				}
			})
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if err != nil || b.outcomes(r) != "done done" {
				t.Errorf("%v, %s", err, b.outcomes(r))
			}
			if got := strings.Join(r.Groups[0].Problems, "\n"); !strings.Contains(got, tt.says) || got != "" && tt.says == "" || len(r.Groups[1].Problems) != 0 {
				t.Errorf("the report says %q of the one and %q of the other", got, r.Groups[1].Problems)
			}
		})
	}
}

// outbound is the nth tunnel's policy, as it is.
func outbound(b *bench, n int) *xfrm.Policy {
	all := policiesOf(b, n)
	return all[slices.IndexFunc(all, func(p *xfrm.Policy) bool { return p.Dir == xfrm.DirOut })]
}

// TestPolicyThatWasReplacedByAnotherIsMissed: the number of policies stays the same, and the tunnel is unprotected.
func TestPolicyThatWasReplacedByAnotherIsMissed(t *testing.T) {
	for _, tt := range []struct {
		onError plan.OnError
		want    string
	}{
		{plan.OnErrorRollback, "undone undone"},
		{plan.OnErrorStop, "done done"},
	} {
		t.Run(string(tt.onError), func(t *testing.T) {
			b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
			b.cfg.OnError = tt.onError
			was := len(policiesOf(b, 0))
			watched(t, b, func() {
				c := b.k.Dial()
				defer c.Close()
				p := outbound(b, 0)
				other := xfrm.Policy{Sel: p.Sel, Dir: p.Dir, Priority: 1, Limits: p.Limits}
				other.Sel.Dst[0] = 99
				if err := errors.Join(c.Do(xfrm.DeletePolicy(p), xfrm.NewPolicy(&other))...); err != nil {
					t.Error(err)
				}
			})
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if !errors.Is(err, executor.ErrUnprotected) || b.outcomes(r) != tt.want || len(policiesOf(b, 0)) != was || b.tagged() != 0 {
				t.Errorf("%v, %s, %d policies, want %d, %d tagged", err, b.outcomes(r), len(policiesOf(b, 0)), was, b.tagged())
			}
		})
	}
}

// TestOverrunIsNoticed loses the notifications of what somebody does, a deleted SA of a moved tunnel or a new one at the old addresses: the run reads what
// is there.
func TestOverrunIsNoticed(t *testing.T) {
	b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
	watched(t, b, func() {
		late := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: 7, Local: b.tunnels[0].Out.SrcIP(), Remote: b.tunnels[0].Out.DstIP(), Dir: true})
		c := b.k.Dial()
		defer c.Close()
		if err := xfrmtest.Install(c, late...); err != nil {
			t.Error(err)
		}
		for _, sa := range b.k.Snapshot().SAs {
			if sa.Reqid == 1 && sa.Dir == xfrm.SADirOut {
				if err := b.k.DeleteSA(sa.ID, sa.Mark); err != nil {
					t.Error(err)
				}
			}
		}
	})
	deaf, err := xfrm.NewMonitor(&congested{Socket: b.k.Socket()}, xfrm.GroupSA)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	b.cfg.Monitor = deaf
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done done" || b.at(7) != "198.51.100.1" || !strings.Contains(strings.Join(r.Groups[0].Problems, "\n"), "was deleted by its owner") {
		t.Errorf("%v, %s, the late tunnel is at %s, the report says %q", err, b.outcomes(r), b.at(7), r.Groups[0].Problems)
	}
}

// congested is a socket that loses all that comes in, and says so.
type congested struct{ xfrm.Socket }

func (c *congested) Receive(b []byte) (int, error) {
	n, err := c.Socket.Receive(b)
	if err == nil {
		clear(b[:n])
		return 0, unix.ENOBUFS
	}
	return n, err
}
