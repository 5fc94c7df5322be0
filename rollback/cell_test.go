package rollback_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// cell is one row of the matrix brought to life: a fault in an apply, perhaps another one in the recovery, and what the
// oracle says.
type cell struct {
	shapes  []shape
	first   fault
	second  fault // in the recovery
	onError plan.OnError
	towards executor.Outcome

	within time.Duration                // for the confirmation
	end    func(*world, *process) error // what the first fault meets instead of the apply

	parallelism int // 0 is one group at a time, where points come in the same order each time
}

func (c cell) String() string {
	s := fmt.Sprintf("%d tunnels, %s at point %d (journal %v)", len(c.shapes), c.first.name, c.first.at.n, c.first.at.journal)
	if c.second.name != "" {
		s += fmt.Sprintf(", then %s at point %d (journal %v) of the recovery", c.second.name, c.second.at.n, c.second.at.journal)
	}
	return s
}

// run runs the cell and returns what is wrong, and the points of the recovery for a second fault.
func (c cell) run(t testing.TB) (wrong []string, recovery []point) {
	if c.end != nil {
		return c.runEnd(t)
	}
	w := newWorld(t, c.shapes...)
	defer w.remove()
	w.within = c.within
	defer w.remove()
	if c.onError != "" {
		w.onError = c.onError
	}
	if c.towards == "" {
		c.towards = executor.Undone
	}
	p := start(c.first)
	p.parallelism = max(1, c.parallelism)
	report, err := w.apply(p)
	w.said(err)
	if c.first.name != "" && !p.occurred && c.parallelism == 0 {
		return []string{"the fault did not occur"}, nil
	}
	p.redone(w)
	outcomes := make([]executor.Outcome, len(w.tunnels))
	for i := range outcomes {
		outcomes[i] = executor.Untouched
	}
	if report != nil {
		outcomes = w.outcomes(report)
	}
	if !p.alive() { // what it meant to report; a recovery knows better, but there is none for a run that had come to its end
		for i, o := range outcomes {
			if o != executor.Done {
				outcomes[i] = executor.Untouched
			}
		}
	} else {
		if !slices.Contains(outcomes, executor.Unknown) {
			w.watch.settled(outcomes)
		}
		if done := count(outcomes, executor.Done) == len(outcomes); done != (err == nil) {
			w.watch.fail("%d of %d done, and the error is %v", count(outcomes, executor.Done), len(outcomes), err)
		}
	}
	if w.boot != "boot-1" || w.netns != "wan" {
		w.replaced(t)
		return w.watch.wrong, nil
	}
	recovery = w.recovered(t, c, outcomes)
	w.watch.keys()
	return w.watch.wrong, recovery
}

// recovered recovers until it is through, and once more.
func (w *world) recovered(t testing.TB, c cell, outcomes []executor.Outcome) (points []point) {
	f := c.second
	for try := 0; ; try++ {
		p := start(f)
		err := w.recover(p, c.towards)
		w.said(err)
		if try == 0 {
			points = p.points
		}
		if p.report != nil {
			for i, o := range w.outcomes(p.report) {
				if p.alive() || o == executor.Done || o == executor.Undone { // what was read back before it died
					outcomes[i] = o
				}
			}
		}
		again := !p.alive() || errors.Is(err, executor.ErrInterrupted) || err != nil && p.occurred
		f = fault{}
		if w.boot != "boot-1" || w.netns != "wan" {
			w.replaced(t)
			return points
		}
		if again && try < 5 {
			continue
		}
		if stuck := count(outcomes, executor.Stuck) != 0; err != nil != stuck {
			w.watch.fail("recover says %v of %v", err, outcomes)
		}
		break
	}
	w.watch.settled(outcomes)
	before := w.watch.picture()
	p := start(fault{})
	w.said(w.recover(p, c.towards))
	if after := w.watch.picture(); after != before {
		w.watch.fail("a second recovery changes something:\n%s\nis now\n%s", before, after)
	}
	return points
}

// replaced goes on with a kernel that knows nothing of the run: after a reboot, or in a namespace made anew.
func (w *world) replaced(t testing.TB) {
	rebooted := w.boot != "boot-1"
	w.netns = "wan"
	w.k = xfrmtest.New(xfrmtest.WithChanges())
	w.open(t)
	c := w.k.Dial()
	defer c.Close()
	if err := xfrmtest.Install(c, w.tunnels...); err != nil {
		t.Fatal(err)
	}
	old := w.watch
	w.watch = newOracle(w)
	w.watch.wrong = old.wrong
	before := w.watch.picture()
	p := start(fault{})
	if err := w.recover(p, executor.Undone); err != nil || p.report != nil {
		w.watch.fail("recover after a reboot (%v): %v, %v", rebooted, p.report, err)
	}
	if after := w.watch.picture(); after != before {
		w.watch.fail("recover changes a kernel that the run has never seen:\n%s", after)
	}
	runs, err := w.state.Runs()
	if err != nil {
		w.watch.fail("%v", err)
	}
	for _, run := range runs {
		if past, err := w.state.ReadJournal(run); err == nil && !past.Ended {
			w.watch.fail("run %s is not marked as over", run)
		}
	}
	// The world goes on: the next apply finds nothing in its way.
	report, err := w.apply(start(fault{}))
	if err != nil {
		w.watch.fail("apply after a reboot: %v", err)
		return
	}
	w.watch.settled(w.outcomes(report))
}

// outcomes sorts a report's outcomes by tunnel. A group that the report doesn't have was not touched.
func (w *world) outcomes(r *executor.Report) []executor.Outcome {
	all := make([]executor.Outcome, len(w.tunnels))
	for i := range all {
		all[i] = executor.Untouched
		for _, g := range r.Groups {
			if strings.HasSuffix(g.Name, fmt.Sprintf(" reqid %d", i+1)) {
				all[i] = g.Outcome
			}
		}
	}
	return all
}

func count(all []executor.Outcome, o executor.Outcome) (n int) {
	for _, x := range all {
		if x == o {
			n++
		}
	}
	return n
}

// faultless runs an apply and returns its points.
func faultless(t testing.TB, shapes ...shape) []point {
	t.Helper()
	w := newWorld(t, shapes...)
	defer w.remove()
	p := start(fault{})
	report, err := w.apply(p)
	if err != nil || p.endErr != nil {
		t.Fatal(err, p.endErr)
	}
	w.watch.settled(w.outcomes(report))
	for _, wrong := range w.watch.wrong {
		t.Error(wrong)
	}
	return p.points
}

var _ executor.Journal = (*rollback.Journal)(nil)
