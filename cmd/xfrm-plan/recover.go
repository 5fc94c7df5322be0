package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
			"left over. It can be interrupted and repeated. A run that may yet be confirmed it leaves to confirm and rollback.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitBusy, exitNotUndone, exitInterrupted),
		Args:        cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.undoing(cmd.Context(), yes, func(p *program, u *undo) error { return p.recover(cmd.Context(), u, forward) })
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
			"numbers stay as they are now. What a later run has moved on is undone by rollback of that one first, and what did\n" +
			"not come to its end by recover.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitRefused, exitBusy, exitNotUndone, exitInterrupted),
		Args:        cobra.MaximumNArgs(1),

		ValidArgsFunction: p.completeRuns(movedRun),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.undoing(cmd.Context(), yes, func(p *program, u *undo) error { return p.rollback(cmd.Context(), u, args) })
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

func (u *undo) close() {
	u.conn.Close()
	u.ns.Close()
}

// attach opens what recover, rollback and the watchdog work with. It takes no lock.
func (p *program) attach(yes bool) (*undo, error) {
	state, err := rollback.OpenStateDir(p.stateDir)
	if err != nil {
		return nil, &exitError{exitHostCannot, err}
	}
	ns, err := p.open(p.netns)
	if err != nil {
		return nil, &exitError{exitHostCannot, err}
	}
	conn, err := ns.Dial()
	if err != nil {
		ns.Close()
		return nil, err
	}
	u := &undo{ns: ns, conn: conn, state: state, yes: yes}
	if u.cookie, err = conn.Cookie(); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// undoing does work under the lock of the network namespace.
func (p *program) undoing(ctx context.Context, yes bool, work func(*program, *undo) error) error {
	u, err := p.attach(yes)
	if err != nil {
		return err
	}
	defer u.close()
	lock, err := lockOf(u.state, u.ns, u.cookie)
	if err != nil {
		return err
	}
	p, drain := p.queued()
	err = work(p, u)
	lock.Close() // before whoever looks on is waited for
	drain(ctx)
	return err
}

func (p *program) recover(ctx context.Context, u *undo, forward bool) error {
	runs, err := u.state.Unfinished(u.cookie)
	if err != nil {
		return err
	}
	usable, damaged, err := p.sortOut(u, runs)
	if err != nil {
		return err
	}
	for _, past := range usable {
		if err := p.awaited(&past.Summary); err != nil {
			return err
		}
	}
	left, err := executor.Left(u.conn)
	if err != nil {
		return err
	}
	if len(runs) == 0 && left == 0 {
		text, err := p.elsewhere(u)
		return errors.Join(p.bygone(u), err, p.say("Nothing to recover in %v.%s", u.ns, text))
	}
	question := fmt.Sprintf("Recover %d unfinished runs and %d left-over policies in %v?", len(usable), left, u.ns)
	if len(damaged) != 0 {
		question = fmt.Sprintf("The journal of %s can't be used. Recover %d other runs, and go by what it tells in front of the damage "+
			"and by what the kernel holds for the rest: remove block policies where protection is whole, leave other SAs where they are, in %v?", strings.Join(damaged, ", "), len(usable), u.ns)
	}
	if err := p.ask(ctx, u.yes, question); err != nil {
		return err
	}
	if err := p.settleAll(ctx, u, usable, damaged, forward); err != nil {
		return err
	}
	return p.bygone(u)
}

// awaited refuses to recover a run that is done and may yet be confirmed: that is somebody's to decide.
func (p *program) awaited(s *rollback.Summary) error {
	if !s.Awaits() {
		return nil
	}
	left, err := s.Until.Left()
	if err != nil || left <= 0 {
		return err
	}
	h := &s.Header
	return exitWith(exitBusy, "run %s awaits its confirmation: %s, or %s to undo it now", h.Run, p.toType("confirm "+h.Run, ""),
		p.toType("rollback "+h.Run, h.NetNS))
}

// notOver says what to do about a run that is unfinished.
func (p *program) notOver(state *rollback.StateDir, run, netns string) error {
	if s, err := state.Summary(run); err == nil { // else it is damaged
		if err := p.awaited(s); err != nil {
			return err
		}
	}
	return exitWith(exitBusy, "run %s did not come to its end: run %s first", run, p.toType("recover", netns))
}

// settleAll brings all that is left of runs to one end.
func (p *program) settleAll(ctx context.Context, u *undo, usable []*rollback.Past, damaged []string, forward bool) error {
	towards := executor.Undone
	if forward {
		towards = executor.Done
	}
	var failures []error
	for _, past := range slices.Backward(usable) { // the latest first: it worked on what the earlier ones left
		if err := p.settleRun(ctx, u, past, towards); err != nil {
			failures = append(failures, err)
			if ctx.Err() != nil {
				break
			}
		}
	}
	if len(failures) != 0 { // the blocks that are left are not orphans
		return worst(failures)
	}
	if err := p.salvage(ctx, u, damaged, towards); err != nil {
		return err
	}
	return p.orphans(u, damaged)
}

// bygone marks the runs that need no recovery any more. It comes last: what takes time with many runs must not hold up
// traffic that is blocked.
func (p *program) bygone(u *undo) error {
	n, err := u.state.Bygone(p.netns, u.cookie)
	if n > 0 {
		_ = p.say("%d unfinished runs of an earlier boot or network namespace have nothing left to undo; they are marked so.", n)
	}
	return err
}

// salvage settles what the journal of the latest run still tells of, if it is one of the damaged ones.
func (p *program) salvage(ctx context.Context, u *undo, damaged []string, towards executor.Outcome) error {
	latest, err := u.state.Latest(u.cookie)
	if err != nil || !slices.Contains(damaged, latest) {
		return err
	}
	past, err := u.state.Salvage(latest, u.conn)
	if err != nil || past == nil {
		return err
	}
	return p.settleRun(ctx, u, past, towards)
}

// worst joins errors under the exit code that an operator has to know of first.
func worst(errs []error) error {
	code := exitOK
	for _, err := range errs {
		code = worse(code, exitCode(err))
	}
	return &exitError{code, errors.Join(errs...)}
}

// sortOut reads the journals of the runs.
func (p *program) sortOut(u *undo, runs []string) (usable []*rollback.Past, damaged []string, err error) {
	for _, run := range runs {
		past, err := u.state.ReadJournal(run)
		switch {
		case errors.Is(err, rollback.ErrUnusable):
			_ = p.say("Run %s: %v.", run, err)
			damaged = append(damaged, run)
		case err != nil:
			return nil, nil, err
		default:
			usable = append(usable, past)
		}
	}
	return usable, damaged, nil
}

// orphans removes what no journal tells of. Where nothing remains of them, damaged journals are set aside.
func (p *program) orphans(u *undo, damaged []string) error {
	n, err := executor.Orphans(u.conn)
	if n > 0 {
		_ = p.say("%d left-over policies removed.", n)
	}
	if err != nil {
		return &exitError{exitNotUndone, err}
	}
	for _, run := range damaged {
		if err := u.state.SetAside(run); err != nil {
			return err
		}
		_ = p.say("The journal of run %s is set aside. Look with `xfrm-plan plan` at where its tunnels are.", run)
	}
	return nil
}

func (p *program) rollback(ctx context.Context, u *undo, args []string) error {
	open, err := u.state.Unfinished(u.cookie)
	if err != nil {
		return err
	}
	past, err := p.runToUndo(u, args, open)
	if err != nil || past == nil {
		return err
	}
	run := past.Header.Run
	switch later, err := u.state.MovedOn(past); {
	case err != nil:
		return err
	case later != "":
		return exitWith(exitRefused, "run %s has moved tunnels of run %s on: %s undoes it first", later, run, p.toType("rollback "+later, past.Header.NetNS))
	}
	if err := p.ask(ctx, u.yes, fmt.Sprintf("Undo run %s in %v?", run, u.ns)); err != nil {
		return err
	}
	return p.settleRun(ctx, u, past, executor.Undone)
}

// runToUndo picks the run: the one that is named, or the last of this boot and namespace that has moved something. Nil
// means that there is nothing to undo, which has been said. No run is undone beside another one that is unfinished.
func (p *program) runToUndo(u *undo, args, open []string) (past *rollback.Past, err error) {
	if len(args) != 0 {
		past, err = p.namedRun(u, args[0])
	} else {
		past, err = p.lastRun(u)
	}
	if err != nil && !errors.Is(err, rollback.ErrUnusable) {
		return nil, err
	}
	for _, run := range open {
		if err == nil && past != nil && run == past.Header.Run {
			continue
		}
		return nil, p.notOver(u.state, run, p.netns)
	}
	if err != nil || past != nil {
		return past, err
	}
	text, err := p.movedElsewhere(u)
	return nil, errors.Join(err, p.say("Nothing to undo in %v: no run of this boot left anything moved there.%s", u.ns, text))
}

// namedRun returns the run, or nil if nothing is left of it.
func (p *program) namedRun(u *undo, run string) (*rollback.Past, error) {
	boot, err := rollback.BootID()
	if err != nil {
		return nil, err
	}
	past, err := u.state.ReadJournal(run)
	if err != nil {
		return nil, err
	}
	switch h := &past.Header; {
	case h.BootID != boot:
		return nil, nil
	case h.Cookie != u.cookie:
		return nil, exitWith(exitHostCannot, "run %s was %s and not in %v: %s there", run, whereOf(h), u.ns, p.toType("rollback "+run, h.NetNS))
	case !movedRun(past):
		return nil, nil
	}
	return past, nil
}

// lastRun returns the last run of this boot and namespace that left something moved, or nil.
func (p *program) lastRun(u *undo) (*rollback.Past, error) {
	here, err := u.state.Here(u.cookie)
	if err != nil {
		return nil, err
	}
	for _, run := range slices.Backward(here) {
		if past, err := u.state.ReadJournal(run); err != nil || movedRun(past) {
			return past, err
		}
	}
	return nil, nil
}

// settleRun brings every transaction of a run to one end.
func (p *program) settleRun(ctx context.Context, u *undo, past *rollback.Past, towards executor.Outcome) error {
	view := p.undoView(past.Header.Run, len(past.Transactions))
	report, err := p.settle(ctx, u.state, past, towards, u.conn, view.event)
	view.close(report, err)
	switch {
	case report == nil || err != nil && !report.Interrupted && report.Unsettled() == 0:
		return err
	case err != nil && report.Unsettled() == 0:
		return &exitError{exitInterrupted, err}
	case err != nil:
		return &exitError{exitNotUndone, err}
	}
	return view.end(report, towards)
}
