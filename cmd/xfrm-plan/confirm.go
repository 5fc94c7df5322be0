package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

func (p *program) confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm [RUN]",
		Short: "Keep what a run has done that would be undone otherwise",
		Long: "confirm gives the word that a run awaits whose plan, or whose --confirm-within, asks for it: from another\n" +
			"terminal, over the tunnels that were moved, so that it arrives only if they work. Without RUN it confirms all runs\n" +
			"that await it.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitBusy, exitUnconfirmed),
		Args:        cobra.MaximumNArgs(1),

		ValidArgsFunction: p.completeRuns(awaitingRun),
		RunE:              func(_ *cobra.Command, args []string) error { return p.confirm(args) },
	}
}

func (p *program) confirm(args []string) error {
	state, err := rollback.OpenStateDir(p.stateDir)
	if err != nil {
		return &exitError{exitHostCannot, err}
	}
	if len(args) == 1 {
		run, err := state.Summary(args[0])
		if err != nil {
			return err
		}
		if run.Confirmed() {
			return p.say("Run %s is confirmed already.", args[0])
		}
		return p.confirmRun(state, &run.Header)
	}
	runs, err := state.Awaiting()
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return p.say("No run awaits confirmation.")
	}
	var failures []error
	for _, run := range runs {
		if err := p.confirmRun(state, &run.Header); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) != 0 {
		return worst(failures)
	}
	return nil
}

func (p *program) confirmRun(state *rollback.StateDir, h *rollback.Header) error {
	lock, err := state.Lock(h.Cookie)
	if err != nil {
		return fmt.Errorf("run %s: %w", h.Run, err)
	}
	defer lock.Close()
	switch err := state.Confirm(h.Run); {
	case errors.Is(err, rollback.ErrTooLate):
		return exitWith(exitUnconfirmed, "%w: it is undone; if its watchdog is gone, by %s", err, p.toType("rollback "+h.Run, h.NetNS))
	case errors.Is(err, rollback.ErrNotAwaiting):
		return &exitError{exitUnconfirmed, err}
	case err != nil:
		return err
	}
	return p.say("Run %s is confirmed: it stays.", h.Run)
}

// confirmPoll is how often the journal of a run that awaits confirmation is read: seldom enough to cost nothing, often
// enough that nobody waits for it.
const confirmPoll = 250 * time.Millisecond

func (p *program) watchdogCommand() *cobra.Command {
	var within time.Duration
	c := &cobra.Command{
		Use:         "watchdog RUN",
		Short:       "Undo a run that is not confirmed in time",
		Long:        "watchdog is started by apply. It outlives it, and the terminal.",
		Hidden:      true,
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitNotUndone, exitUnconfirmed),
		Args:        cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.watchdog(cmd.Context(), args[0], within)
		},
	}
	c.Flags().DurationVar(&within, "within", 0, "when to undo a run whose apply died before it could say")
	return c
}

// watchdog waits until the run is over, or until its time has come and nobody is at work on it.
func (p *program) watchdog(ctx context.Context, run string, within time.Duration) error {
	u, err := p.attach(true)
	if err != nil {
		return err
	}
	defer u.close()
	begun, err := rollback.Now()
	if err != nil {
		return err
	}
	// apply waits for either word before it touches anything: systemd-run for the one, we for the other.
	fmt.Fprintln(p.out, watching)
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("tell systemd that the watchdog is ready: %w", err)
	}
	journal := u.state.Follow(run)
	for {
		over, err := p.lookAfter(ctx, u, journal, begun+rollback.Boottime(within))
		if over || err != nil && !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return &exitError{exitInterrupted, ctx.Err()}
		case <-time.After(confirmPoll):
		}
	}
}

// passing reports whether an error may be over the next time: the system had no file, no memory or no disk, or another
// process holds the lock. Nobody else undoes the run meanwhile. What a journal says does not change.
func passing(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) || errors.Is(err, rollback.ErrLocked)
}

// lookAfter undoes the run if its time has come, which is limit for one whose apply died before it could say, and reports
// whether it is over.
func (p *program) lookAfter(ctx context.Context, u *undo, journal *rollback.Follower, limit rollback.Boottime) (over bool, err error) {
	s, err := journal.Look()
	switch {
	case err != nil:
		return false, err
	case s.Ended:
		return true, nil
	case s.Header.Cookie != u.cookie: // it came back, and what bears the name now is another one
		return true, exitWith(exitHostCannot, "run %s was %s and not in %v: %s there", s.Header.Run, whereOf(&s.Header), u.ns, p.toType("recover", s.Header.NetNS))
	}
	if left, err := leftOf(s, limit); err != nil || left > 0 {
		return false, err
	}
	return p.expire(ctx, u, journal, limit)
}

// expire undoes a run whose time is over, if that is still so when nobody else is at work.
func (p *program) expire(ctx context.Context, u *undo, journal *rollback.Follower, limit rollback.Boottime) (over bool, err error) {
	lock, err := lockOf(u.state, u.ns, u.cookie)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	s, err := journal.Look()
	if err != nil || s.Ended { // confirmed in the last moment
		return err == nil, err
	}
	if left, err := leftOf(s, limit); err != nil || left > 0 { // apply has said in the last moment until when it may be confirmed
		return false, err
	}
	end, err := p.undoUnconfirmed(ctx, u, s.Header.Run, untimely)
	if end.text == "" {
		return false, err
	}
	p.announce("xfrm-plan: run " + s.Header.Run + " " + end.text)
	return true, &exitError{end.code, err}
}

// leftOf is how long a run may yet be confirmed.
func leftOf(s *rollback.Summary, limit rollback.Boottime) (time.Duration, error) {
	if s.Until != 0 {
		return s.Until.Left()
	}
	return limit.Left()
}

// watching is the word that a watchdog is at its post.
const watching = "watching"

// ending is what became of a run that awaited its confirmation, for the exit status and in words behind its name.
type ending struct {
	code int
	text string
}

var (
	untimely    = ending{exitUnconfirmed, "was not confirmed in time"}
	interrupted = ending{exitInterrupted, "was interrupted before it was confirmed"}
)

// undoUnconfirmed undoes a run for a reason. What it says it has from the kernel: a journal that can't be written keeps
// nobody from knowing how the run ended. Without a text nothing was done.
func (p *program) undoUnconfirmed(ctx context.Context, u *undo, run string, why ending) (ending, error) {
	past, err := u.state.ReadJournal(run)
	if err != nil {
		return ending{exitUnexpected, ""}, err
	}
	report, err := p.settle(ctx, u.state, past, executor.Undone, u.conn, func(executor.Event) {})
	switch {
	case report == nil:
		return ending{exitUnexpected, ""}, err
	case report.Unsettled() != 0:
		return ending{exitNotUndone, fmt.Sprintf("%s and could NOT be undone whole; %d tunnels stay blocked. Run %s.", why.text,
			report.Unsettled(), p.toType("recover", past.Header.NetNS))}, err
	case report.Interrupted:
		return ending{exitNotUndone, fmt.Sprintf("%s, and undoing it was interrupted. Run %s.", why.text, p.toType("recover", past.Header.NetNS))}, err
	}
	if why == untimely {
		err = errors.Join(err, u.state.Unconfirmed(run))
	}
	return ending{why.code, why.text + " and was undone."}, err
}
