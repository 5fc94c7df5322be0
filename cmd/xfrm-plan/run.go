package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/progress"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// runLanes runs the plan in every network namespace side by side and ends with the worst of their exit codes.
func (p *program) runLanes(ctx context.Context, state *rollback.StateDir, src *source, lanes []*lane) error {
	p, drain := p.queued()
	shown, end := p.view(lanes)
	view := loggedView{shown, p}
	var mu sync.Mutex
	code := exitOK
	var failed []error
	var work sync.WaitGroup
	for _, l := range lanes {
		if l.plan.Empty() {
			continue
		}
		work.Go(func() {
			lcode, err := p.runLane(ctx, state, src, l, view)
			mu.Lock()
			defer mu.Unlock()
			code = worse(code, lcode)
			if err != nil { // it says nothing of how the other lanes have ended
				code = worse(code, exitCode(err))
				failed = append(failed, inLane(l, err))
			}
		})
	}
	work.Wait()
	end()
	for _, l := range lanes { // whoever looks on may take his time; the next run need not wait for that
		l.unlock()
	}
	drain(ctx)
	if code != exitOK {
		return &exitError{code, errors.Join(failed...)}
	}
	return nil
}

// inLane says which network namespace an error is about.
func inLane(l *lane, err error) error {
	if l.ns.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", l.ns.name, err)
}

// worse picks the exit code that an operator has to know of first.
func worse(a, b int) int {
	for _, c := range []int{exitNotUndone, exitUndone, exitInterrupted} {
		if a == c || b == c {
			return c
		}
	}
	return max(a, b)
}

// runLane runs the plan in one network namespace. The error is only of what surrounds the run: its own failures are in
// the exit code and the report.
func (p *program) runLane(ctx context.Context, state *rollback.StateDir, src *source, l *lane, v view) (int, error) {
	boot, err := rollback.BootID()
	if err != nil {
		return exitUnexpected, err
	}
	now, doc := time.Now(), src.doc
	begun, err := rollback.Now()
	if err != nil {
		return exitUnexpected, err
	}
	header := rollback.Header{
		Run: runID(now, rand.Uint32()), Plan: doc.Metadata.Name, Digest: doc.Digest,
		BootID: boot, NetNS: l.ns.name, Cookie: l.cookie, Started: now, Boottime: begun, Process: os.Getpid(),
	}
	for i := range l.plan.Waves {
		w := &l.plan.Waves[i]
		header.Waves = append(header.Waves, rollback.HeaderWave{Name: w.Name, Groups: len(w.Groups)})
	}
	journal, err := state.Create(header)
	if err != nil {
		return exitUnexpected, err
	}
	if doc.Confirm != 0 {
		if err := p.keepWatch(header.Run, l, doc.Confirm); err != nil {
			return exitHostCannot, errors.Join(err, journal.End())
		}
	}
	if l.ike != nil {
		l.ike.Note = journal.Daemon
	}
	monitor, err := l.ns.Monitor()
	if err != nil {
		return exitUnexpected, errors.Join(err, journal.End())
	}
	defer monitor.Close()
	if src.saved != nil { // now that nothing keeps it from being carried out
		if err := state.Consume(src.saved.Digest, header.Run); err != nil {
			return exitUnexpected, errors.Join(err, journal.End())
		}
	}
	take, end := tell(state, header.Run, progress.ForPlan(l.plan))
	bins := executor.BinsOf(l.inv.Policies)
	l.inv = nil // of a large gateway the tables are most of what is in memory, and the run reads for itself
	report, runErr := executor.Run(ctx, l.plan, executor.Config{
		Monitor: monitor, Recompute: l.recompute(ctx, src),
		Conn: l.conn, Journal: journal, Emit: func(e executor.Event) { take(&e); v.event(l, e) }, Run: header.Run,
		Ready:   l.readyAgain(doc),
		OnError: doc.OnError, Checks: doc.Checks, Parallelism: doc.Transaction.Parallelism, Bins: bins, IKE: l.ike,
	})
	end()
	awaits := mustConfirm(doc.Confirm, report)
	err = closeJournal(journal, report, awaits, doc.Confirm)
	if errors.Is(runErr, executor.ErrJournal) {
		err = nil // it has been said, and the run was undone for it
	}
	if err != nil {
		err = fmt.Errorf("the run is over, but its journal can't say so; %s will find it as it is: %w", p.toType("recover --forward", l.ns.name), err)
	}
	err = errors.Join(err, state.WriteReport(report))
	v.report(l, report, runErr)
	code := exitOfRun(report, runErr)
	if err != nil || doc.Confirm == 0 {
		return code, err
	}
	return p.awaitWord(ctx, state, l, header.Run, code, doc.Confirm, report)
}

// recompute computes the plan of a lane anew while it runs, and asks the IKE daemons again. A saved plan is carried out as it was reviewed or not at all, and
// one whose targets are among its sources would move again what it has moved.
func (l *lane) recompute(ctx context.Context, src *source) func() (*plan.Plan, *ike.Part, error) {
	if src.saved != nil || src.doc.MeetsItself() {
		return nil
	}
	return func() (*plan.Plan, *ike.Part, error) {
		conn, err := l.ns.DialReadOnly() // a dump keeps its connection to itself, and groups are at work through l.conn
		if err != nil {
			return nil, nil, err
		}
		defer conn.Close()
		inv, err := l.ns.Inventory(conn)
		if err != nil {
			return nil, nil, err
		}
		p := plan.Compute(src.doc, inv)
		part, err := ike.Consult(ctx, src.doc, p)
		return p, part, err
	}
}

// keepWatch starts the watchdog of a run. Without one nothing is done.
func (p *program) keepWatch(run string, l *lane, within time.Duration) error {
	stateDir, err := filepath.Abs(p.stateDir)
	if err != nil {
		return err
	}
	args := []string{"watchdog", run, "--within", within.String(), "--state-dir", stateDir}
	if l.ns.name != "" {
		args = append(args, "--netns", l.ns.name)
	}
	return p.detach("xfrm-plan-watchdog-"+run, args)
}
