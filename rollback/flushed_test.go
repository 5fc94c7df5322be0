package rollback_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestFlushedSPDEndsProtectedOrBlocked flushes the SPD at each point of a run that listens, as apply does, up to its last look: what the run
// does not report as blocked must not leave in the clear at its end.
func TestFlushedSPDEndsProtectedOrBlocked(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, s)
			defer w.remove()
			w.listens = true
			p := start(fault{})
			if _, err := w.apply(p); err != nil {
				t.Fatal(err)
			}
			var points []point
			for _, at := range p.points {
				if !at.journal && at.at != xfrmtest.AfterReceive {
					points = append(points, at)
				}
			}
			points = points[:len(points)-1] // when the kernel has answered the last look, nobody looks any more
			var cells errgroup.Group
			cells.SetLimit(16) // each waits for what may be a tunnel that is being closed down
			for _, at := range points {
				cells.Go(func() error {
					flushedAt(t, s, at)
					return nil
				})
			}
			_ = cells.Wait()
		})
	}
}

func flushedAt(t *testing.T, s shape, at point) {
	t.Helper()
	w := newWorld(t, s, s)
	defer w.remove()
	w.listens = true
	p := start(fault{name: "SPD flushed", at: at, do: func(w *world, _ *process) xfrmtest.Effect {
		return xfrmtest.Effect{Run: func() { w.watch.flushed = true; _ = w.k.FlushPolicies() }}
	}})
	report, err := w.apply(p)
	if !p.occurred {
		return
	}
	if open := w.inTheClear(w.outcomes(report)); len(open) != 0 {
		t.Errorf("point %d (%v, %v): %v; outcomes %v, tunnels %v are in the clear", at.n, at.at, at.types, err, w.outcomes(report), open)
	}
}

// inTheClear lists the tunnels that are not reported as blocked and whose traffic leaves without IPsec.
func (w *world) inTheClear(outcomes []executor.Outcome) (all []int) {
	s := w.k.Snapshot()
	for i := range w.tunnels {
		if outcomes[i] == executor.Stuck {
			continue
		}
		for j := range w.tunnels[i].Policies {
			p := &w.tunnels[i].Policies[j]
			if p.Dir == xfrm.DirOut && passes(s, p.Dir, p.Sel) && (!w.shapes[i].reselected || passes(s, p.Dir, reselect(p.Sel))) {
				all = append(all, i)
				break
			}
		}
	}
	return all
}
