package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func (p *program) recoverCommand() *cobra.Command {
	var yes, forward bool
	c := &cobra.Command{
		Use:   "recover",
		Short: "Bring the kernel to an end state after a run that broke off",
		Long: "recover finds the runs of this boot and network namespace that never came to their end and brings all of their\n" +
			"tunnels back to the old addresses, or with --forward on to the new ones. It also removes block policies that are\n" +
			"left over. It can be interrupted and repeated.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitBusy, exitNotUndone, exitInterrupted),
		Args:        cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.undoing(yes, func(u *undo) error { return p.recover(cmd.Context(), u, forward) })
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	c.Flags().BoolVar(&forward, "forward", false, "go on to the new addresses instead of back")
	return c
}

func (p *program) rollbackCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rollback [RUN]",
		Short: "Undo a run",
		Long: "rollback brings the tunnels of a run, the last one unless named, back to their old addresses: keys and sequence\n" +
			"numbers stay as they are now.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitBusy, exitNotUndone, exitInterrupted),
		Args:        cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.undoing(yes, func(u *undo) error { return p.rollback(cmd.Context(), u, args) })
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return c
}

// undo is what recover and rollback work with: one network namespace under its lock.
type undo struct {
	ns     namespace
	conn   *xfrm.Conn
	state  *rollback.StateDir
	cookie uint64
	yes    bool
}

func (p *program) undoing(yes bool, work func(*undo) error) error {
	state, err := rollback.OpenStateDir(p.stateDir)
	if err != nil {
		return &exitError{exitHostCannot, err}
	}
	ns, err := p.open(p.netns)
	if err != nil {
		return &exitError{exitHostCannot, err}
	}
	defer ns.Close()
	conn, err := ns.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	cookie, err := conn.Cookie()
	if err != nil {
		return err
	}
	lock, err := state.Lock(cookie)
	if err != nil {
		return err
	}
	defer lock.Close()
	return work(&undo{ns, conn, state, cookie, yes})
}

func (p *program) recover(ctx context.Context, u *undo, forward bool) error {
	runs, err := u.state.Unfinished(u.cookie)
	if err != nil {
		return err
	}
	orphans, err := tagged(u.conn)
	if err != nil {
		return err
	}
	if len(runs) == 0 && orphans == 0 {
		return p.say("Nothing to recover in %v.", u.ns)
	}
	if err := p.ask(u.yes, fmt.Sprintf("Recover %d unfinished runs and %d left-over policies in %v?", len(runs), orphans, u.ns)); err != nil {
		return err
	}
	slices.Reverse(runs) // the latest first: it worked on what the earlier ones left
	for _, run := range runs {
		if err := p.settleRun(ctx, u, run, forward); err != nil {
			return err
		}
	}
	n, err := executor.Orphans(u.conn)
	if n > 0 {
		_ = p.say("%d left-over policies removed.", n)
	}
	if err != nil {
		return &exitError{exitNotUndone, err}
	}
	return nil
}

func tagged(conn *xfrm.Conn) (n int, err error) {
	policies, err := conn.Policies()
	for i := range policies {
		if policies[i].Tagged() {
			n++
		}
	}
	return n, err
}

func (p *program) rollback(ctx context.Context, u *undo, args []string) error {
	run, err := p.runToUndo(u, args)
	if err != nil || run == "" {
		return err
	}
	if err := p.ask(u.yes, fmt.Sprintf("Undo run %s in %v?", run, u.ns)); err != nil {
		return err
	}
	return p.settleRun(ctx, u, run, false)
}

// runToUndo picks the run: the one that is named, or the last of this boot and namespace. Empty means that there is
// nothing to undo, which has been said.
func (p *program) runToUndo(u *undo, args []string) (string, error) {
	boot, err := rollback.BootID()
	if err != nil {
		return "", err
	}
	runs := args
	if len(runs) == 0 {
		if runs, err = u.state.Runs(); err != nil {
			return "", err
		}
	}
	for _, run := range slices.Backward(runs) {
		past, err := u.state.ReadJournal(run)
		if err != nil {
			return "", err
		}
		if past.Header.BootID == boot && past.Header.Cookie == u.cookie {
			return run, nil
		}
	}
	return "", p.say("Nothing to undo in %v: no run of this boot touched it.", u.ns)
}

// settleRun brings every transaction of a run to one end, and notes in its journal that it is over.
func (p *program) settleRun(ctx context.Context, u *undo, run string, forward bool) error {
	past, err := u.state.ReadJournal(run)
	if err != nil {
		return err
	}
	txs := past.Transactions
	if !forward {
		txs = past.Reversed()
	}
	view := &undoView{p, run}
	report, err := executor.Finish(ctx, txs, executor.Config{Conn: u.conn, Run: run, Emit: view.event})
	if err == nil {
		if err := u.state.MarkEnded(run); err != nil {
			return err
		}
		return view.end(report, forward)
	}
	code := exitNotUndone
	if report.Count(executor.Stuck) == 0 && errors.Is(err, executor.ErrInterrupted) {
		code = exitInterrupted
	}
	return &exitError{code, err}
}
