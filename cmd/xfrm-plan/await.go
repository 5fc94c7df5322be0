package main

import (
	"context"
	"errors"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// mustConfirm reports whether a run awaits its confirmation: it has moved something, whatever has become of the rest. One
// with a group that is neither old nor new is not over, and recover has it to finish first.
func mustConfirm(within time.Duration, r *executor.Report) bool {
	return within != 0 && r.Count(executor.Done) != 0 && r.Unsettled() == 0
}

// closeJournal closes the journal of a run with what there is to say of its end.
func closeJournal(j *rollback.Journal, r *executor.Report, awaits bool, within time.Duration) error {
	switch {
	case awaits:
		now, err := rollback.Now()
		if err != nil {
			return errors.Join(err, j.Close())
		}
		return j.Await(now + rollback.Boottime(within))
	case r.Unsettled() != 0:
		return j.Close()
	}
	return j.End()
}

// awaitWord says how a run is kept that is undone otherwise, and waits for the word if there is somebody to give it. code
// is how the run itself has ended.
func (p *program) awaitWord(ctx context.Context, state *rollback.StateDir, l *lane, run string, code int, within time.Duration,
	r *executor.Report) (int, error) {
	confirm, undo := "`xfrm-plan confirm "+run+"`", toType("rollback "+run, l.ns.name)
	switch {
	case r.Unsettled() != 0:
		return code, p.say("It can't be confirmed before every group is settled. Bring it to its end within %v of its beginning, with %s or %s. "+
			"Otherwise the watchdog undoes all of it.", within, toType("recover", l.ns.name), toType("recover --forward", l.ns.name))
	case r.Count(executor.Done) == 0:
		return code, nil
	case ctx.Err() != nil: // onError leaves what is done to the operator, and his time goes on
		return exitInterrupted, p.say("Interrupted, and %d of %d groups are moved. To keep them, confirm within %v: %s. To undo them now: %s. "+
			"Otherwise the watchdog undoes them.", r.Count(executor.Done), len(r.Groups), within, confirm, undo)
	}
	_ = p.say("To keep this, confirm within %v: xfrm-plan confirm %s. Otherwise it is undone.", within, run)
	l.unlock()
	word, err := p.await(ctx, state, l, run)
	if word == exitOK {
		word = code
	}
	return word, err
}

// await waits for the word on a run that is done, or for the watchdog. A signal undoes the run at once.
func (p *program) await(ctx context.Context, state *rollback.StateDir, l *lane, run string) (int, error) {
	for {
		past, err := state.ReadJournal(run)
		if err == nil && past.Ended && !p.alone(state, past) { // somebody still writes down why
			time.Sleep(confirmPoll)
			continue
		}
		switch {
		case err != nil:
			return exitUnexpected, err
		case past.Confirmed():
			return exitOK, p.say("Run %s is confirmed: it stays.", run)
		case past.Ended:
			return exitUnconfirmed, p.say("Run %s was not confirmed in time and was undone.", run)
		case !past.Awaits() && p.alone(state, past):
			return exitNotUndone, p.say("Run %s was not confirmed in time and could not be undone whole: run %s.", run, toType("recover", past.Header.NetNS))
		}
		select {
		case <-time.After(confirmPoll):
			continue
		case <-ctx.Done():
		}
		lock, err := state.Lock(l.cookie)
		if err != nil { // the watchdog is at it, or somebody confirms
			ctx = context.WithoutCancel(ctx)
			continue
		}
		defer lock.Close()
		past, err = state.ReadJournal(run)
		if err != nil || past.Ended {
			ctx = context.WithoutCancel(ctx)
			continue
		}
		if _, err := p.settle(context.WithoutCancel(ctx), state, past, executor.Undone, l.conn, func(executor.Event) {}); err != nil {
			return exitNotUndone, err
		}
		return exitInterrupted, p.say("Run %s was interrupted before it was confirmed, and was undone.", run)
	}
}

// alone reports whether nobody is at work in the run's network namespace.
func (p *program) alone(state *rollback.StateDir, past *rollback.Past) bool {
	lock, err := state.Lock(past.Header.Cookie)
	if err != nil {
		return false
	}
	lock.Close()
	return true
}
