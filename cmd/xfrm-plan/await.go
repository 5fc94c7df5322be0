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
	confirm, undo := p.toType("confirm "+run, ""), p.toType("rollback "+run, l.ns.name)
	switch {
	case r.Unsettled() != 0:
		return code, p.say("It can't be confirmed before every group is settled. Bring it to its end within %v of its beginning, with %s or %s. "+
			"Otherwise the watchdog undoes all of it.", within, p.toType("recover", l.ns.name), p.toType("recover --forward", l.ns.name))
	case r.Count(executor.Done) == 0:
		return code, nil
	case ctx.Err() != nil: // onError leaves what is done to the operator, and his time goes on
		return exitInterrupted, p.say("Interrupted, and %d of %d groups are moved. To keep them, confirm within %v: %s. To undo them now: %s. "+
			"Otherwise the watchdog undoes them.", r.Count(executor.Done), len(r.Groups), within, confirm, undo)
	}
	l.unlock() // or a confirm that comes at once would find it held
	_ = p.say("To keep this, confirm within %v: xfrm-plan confirm %s. Otherwise it is undone.", within, run)
	word, err := p.await(ctx, state, l, run)
	if word == exitOK {
		word = code
	}
	return word, err
}

// watchdogGrace is how long after its time a run is left to its watchdog: much longer than that takes to see it.
const watchdogGrace = 3 * time.Second

// await waits for the word on a run that is done, or for the watchdog. A signal undoes the run at once.
func (p *program) await(ctx context.Context, state *rollback.StateDir, l *lane, run string) (int, error) {
	u := &undo{ns: l.ns.namespace, conn: l.conn, state: state, cookie: l.cookie}
	journal, signal := state.Follow(run), ctx.Done()
	for {
		s, err := journal.Look()
		if err == nil && (ctx.Err() != nil || abandoned(s)) {
			var end ending
			if end, err = p.conclude(ctx, u, journal); end.text != "" {
				return end.code, errors.Join(err, p.say("Run %s %s", run, end.text))
			}
		}
		if err != nil && (!passing(err) || ctx.Err() != nil && !errors.Is(err, rollback.ErrLocked)) {
			return exitUnexpected, err
		}
		select {
		case <-time.After(confirmPoll):
		case <-signal:
			signal = nil
		}
	}
}

// abandoned reports whether a run should be over: it has ended, somebody has begun to undo it, or its watchdog is late.
func abandoned(s *rollback.Summary) bool {
	if s.Ended || len(s.Resumed) != 0 {
		return true
	}
	left, err := s.Until.Left()
	return err == nil && left < -watchdogGrace
}

// conclude tells how a run ended, or ends it if nobody else does. Without a text it is not over: while somebody is at work
// the lock is held.
func (p *program) conclude(ctx context.Context, u *undo, journal *rollback.Follower) (ending, error) {
	lock, err := lockOf(u.state, u.ns, u.cookie)
	if err != nil {
		return ending{}, err
	}
	defer lock.Close()
	s, err := journal.Look()
	if err != nil {
		return ending{}, err
	}
	n := len(s.Resumed)
	forward := n != 0 && s.Resumed[n-1].Towards == executor.Done
	switch {
	case s.Confirmed():
		return ending{exitOK, "is confirmed: it stays."}, nil
	case s.Ended && forward:
		return ending{exitOK, "was brought on to the new addresses by `xfrm-plan recover --forward`: it stays."}, nil
	case s.TimedOut():
		return ending{exitUnconfirmed, untimely.text + " and was undone."}, nil
	case s.Ended:
		return ending{exitUnconfirmed, "was undone before it was confirmed."}, nil
	case forward:
		return ending{exitNotUndone, "was not brought on whole. Run " + p.toType("recover", s.Header.NetNS) + "."}, nil
	}
	left, err := s.Until.Left()
	if err != nil {
		return ending{}, err
	}
	if left > 0 && ctx.Err() != nil {
		return p.undoUnconfirmed(context.WithoutCancel(ctx), u, s.Header.Run, interrupted)
	}
	end, err := p.undoUnconfirmed(context.WithoutCancel(ctx), u, s.Header.Run, untimely)
	if n == 0 && end.text != "" { // else whoever has begun to undo it has told
		p.announce("xfrm-plan: run " + s.Header.Run + " " + end.text)
	}
	return end, err
}
