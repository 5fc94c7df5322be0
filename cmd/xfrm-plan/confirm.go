package main

import (
	"context"
	"errors"
	"fmt"
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
		Annotations: exitHelp(exitOK, exitUnexpected, exitBusy, exitUnconfirmed),
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
	var runs []*rollback.Past
	if len(args) == 1 {
		past, err := state.ReadJournal(args[0])
		if err != nil {
			return err
		}
		if past.Confirmed() {
			return p.say("Run %s is confirmed already.", args[0])
		}
		runs = append(runs, past)
	} else if runs, err = state.Awaiting(); err != nil {
		return err
	}
	if len(runs) == 0 {
		return p.say("No run awaits confirmation.")
	}
	for _, past := range runs {
		if err := p.confirmRun(state, past); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) confirmRun(state *rollback.StateDir, past *rollback.Past) error {
	lock, err := state.Lock(past.Header.Cookie)
	if err != nil {
		return err
	}
	defer lock.Close()
	run := past.Header.Run
	switch err := state.Confirm(run); {
	case errors.Is(err, rollback.ErrTooLate), errors.Is(err, rollback.ErrNotAwaiting):
		return &exitError{exitUnconfirmed, err}
	case err != nil:
		return err
	}
	return p.say("Run %s is confirmed: it stays.", run)
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
	for {
		past, err := u.state.ReadJournal(run)
		if err != nil {
			return err
		}
		switch {
		case past.Ended:
			return nil
		case past.Header.Cookie != u.cookie: // it came back, and what bears the name now is another one
			return exitWith(exitHostCannot, "run %s was %s and not in %v: %s there", run, whereOf(past), u.ns, toType("recover", past.Header.NetNS))
		}
		until := past.Until
		if until == 0 {
			until = begun + rollback.Boottime(within)
		}
		if left, err := until.Left(); err != nil {
			return err
		} else if left <= 0 {
			lock, err := u.state.Lock(past.Header.Cookie)
			if err == nil {
				defer lock.Close()
				return p.expire(ctx, u, run)
			}
			if !errors.Is(err, rollback.ErrLocked) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return &exitError{exitInterrupted, ctx.Err()}
		case <-time.After(confirmPoll):
		}
	}
}

// watching is the word that a watchdog is at its post.
const watching = "watching"

// expire undoes a run that was not confirmed, and tells everybody who is logged in.
func (p *program) expire(ctx context.Context, u *undo, run string) error {
	past, err := u.state.ReadJournal(run)
	if err != nil || past.Ended { // confirmed in the last moment
		return err
	}
	report, err := p.settle(ctx, u.state, past, executor.Undone, u.conn, func(executor.Event) {})
	switch {
	case err == nil:
		p.announce(fmt.Sprintf("xfrm-plan: run %s was not confirmed in time and was undone.", run))
		return errors.Join(&exitError{code: exitUnconfirmed}, u.state.Unconfirmed(run))
	case report != nil && report.Unsettled() != 0:
		p.announce(fmt.Sprintf("xfrm-plan: run %s was not confirmed in time and could NOT be undone whole; %d tunnels stay blocked. Run %s.",
			run, report.Unsettled(), toType("recover", past.Header.NetNS)))
		return &exitError{exitNotUndone, err}
	}
	return err
}
