package rollback_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// longEnough is time for a confirmation that doesn't run out while a cell runs.
const longEnough = time.Hour

// last is the world's only run.
func (w *world) last() (*rollback.Past, error) {
	runs, err := w.state.Runs()
	if err != nil || len(runs) != 1 {
		return nil, errors.Join(err, errors.New("one run was expected"))
	}
	return w.state.ReadJournal(runs[0])
}

// confirm is `xfrm-plan confirm`.
func (w *world) confirm(p *process) error {
	lock, err := w.state.Lock(w.k.Cookie())
	if err != nil {
		return err
	}
	defer lock.Close()
	past, err := w.last()
	if err != nil {
		return err
	}
	p.begun(w)
	w.state.BreakFiles(p.file)
	defer w.state.BreakFiles(func(f rollback.File) rollback.File { return f })
	return w.state.Confirm(past.Header.Run)
}

// expire is what the watchdog does when the time is over.
func (w *world) expire(p *process) error {
	c := p.dial(w)
	defer c.Close()
	lock, err := w.state.Lock(w.k.Cookie())
	if err != nil {
		return err
	}
	defer lock.Close()
	past, err := w.last()
	if err != nil || past.Ended {
		return err
	}
	p.begun(w)
	w.state.BreakFiles(p.file)
	defer w.state.BreakFiles(func(f rollback.File) rollback.File { return f })
	p.report, err = w.state.Settle(p.ctx, past, executor.Undone, c, w.hear)
	if err != nil {
		return err
	}
	return w.state.Unconfirmed(past.Header.Run)
}

// timed lists every fault at every point of what ends a run that awaits its confirmation.
func timed(t *testing.T, s shape, end func(*world, *process) error) (all []cell) {
	t.Helper()
	w := newWorld(t, s)
	w.within = longEnough
	if _, err := w.apply(start(fault{})); err != nil {
		t.Fatal(err)
	}
	p := start(fault{})
	if err := end(w, p); err != nil {
		t.Fatal(err)
	}
	lastLook := 0 // that the undo takes: what others do after it, no report can tell of
	for _, at := range p.points {
		if !at.journal && at.at == xfrmtest.BeforeSend {
			lastLook = at.n
		}
	}
	for _, at := range p.points {
		for _, f := range faultsAt(w, at) {
			if !at.journal && at.n > lastLook && f.name == "SPD flushed" {
				continue
			}
			all = append(all, cell{shapes: []shape{s}, first: f, within: longEnough, end: end})
		}
	}
	if len(all) == 0 {
		t.Fatal("no point where a fault could come")
	}
	return all
}

// runEnd lets a fault come when a run that is done and awaits its confirmation is confirmed or undone. Then the same is
// tried once more, and recover is asked, which undoes what still awaits.
func (c cell) runEnd(t testing.TB) (wrong []string, recovery []point) {
	w := newWorld(t, c.shapes...)
	w.within = c.within
	c.towards = executor.Undone
	report, err := w.apply(start(fault{}))
	if err != nil {
		return []string{err.Error()}, nil
	}
	outcomes := w.outcomes(report)
	w.watch.settled(outcomes)
	p := start(c.first)
	err = c.end(w, p)
	w.said(err)
	if !p.occurred {
		return []string{"the fault did not occur"}, nil
	}
	p.redone(w)
	if p.report != nil {
		for i, o := range w.outcomes(p.report) {
			if p.alive() || o == executor.Done || o == executor.Undone { // what was read back before it died
				outcomes[i] = o
			}
		}
	}
	if w.boot != "boot-1" || w.netns != "wan" {
		w.replaced(t)
		return w.watch.wrong, nil
	}
	past, readErr := w.last()
	switch {
	case readErr != nil:
		w.watch.fail("the journal: %v", readErr)
	case err == nil && p.alive() && !past.Ended:
		w.watch.fail("the run is said to be over, and its journal does not say so")
	case past.Confirmed(): // nobody undoes it
		w.watch.settled(outcomes)
		if err := w.expire(start(fault{})); err != nil {
			w.watch.fail("the watchdog of a confirmed run: %v", err)
		}
	}
	recovery = w.recovered(t, c, outcomes)
	if past, err := w.last(); err != nil || !past.Ended && count(outcomes, executor.Stuck) == 0 {
		w.watch.fail("after recovery the run still awaits: %v", err)
	}
	w.watch.keys()
	return w.watch.wrong, recovery
}

// TestOrderOfRunsOutlivesAClockSetBack: the later run is undone first, for it worked on what the earlier one left.
func TestOrderOfRunsOutlivesAClockSetBack(t *testing.T) {
	w := newWorld(t, shapes[0])
	report, err := w.apply(start(fault{}))
	if err != nil || report == nil {
		t.Fatal(err)
	}
	first, err := w.last()
	if err != nil {
		t.Fatal(err)
	}
	now, err := rollback.Now()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"20261125T000000Z-0001", "20251125T000000Z-0002"} // by their clocks the second is a year older
	for i, name := range names {
		j, err := w.state.Create(rollback.Header{
			Run: name, Plan: "move", Digest: "d", BootID: w.boot, NetNS: w.netns, Cookie: w.k.Cookie(),
			Started: time.Unix(1_790_000_000, 0).AddDate(-i, 0, 0), Boottime: now + rollback.Boottime(i),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Intend(first.Transactions), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.state.Unfinished(w.k.Cookie())
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("unfinished, the oldest first: %v, %v; want %v", got, err, names)
	}
	if latest, err := w.state.Latest(w.k.Cookie()); err != nil || latest != names[1] {
		t.Errorf("the latest is %q, %v; want %s", latest, err, names[1])
	}
}
