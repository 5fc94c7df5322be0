package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func (p *program) applyCommand() *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use:   "apply FILE|SAVED",
		Short: "Move the SAs as the plan says",
		Long: "apply computes the plan afresh, shows it, asks on a terminal, and carries it out; if there is something else to\n" +
			"move by the time of the answer, it shows that and asks again. Of a saved plan it carries out exactly what was\n" +
			"reviewed, once, and refuses if anything of it has changed meanwhile. A first SIGINT or SIGTERM lets the groups\n" +
			"in flight come to an end and then does what onError says; a second one kills the program.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitInvalid, exitHostCannot, exitRefused, exitBusy, exitUndone, exitNotUndone,
			exitUnconfirmed, exitInterrupted),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.apply(cmd.Context(), args[0], o) },
	}
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "don't ask")
	c.Flags().StringVar(&o.at, "at", "", "wait until this `time` first: 2026-12-01T01:00:00Z, or 01:00 of local time")
	c.Flags().DurationVar(&o.within, "confirm-within", 0, "undo everything unless `xfrm-plan confirm` arrives within this `duration`")
	return c
}

type applyOptions struct {
	yes    bool
	at     string
	within time.Duration // 0 is what the plan says
}

func (p *program) apply(ctx context.Context, path string, o applyOptions) error {
	src, err := p.source(path)
	if err != nil {
		return err
	}
	doc := src.doc
	if o.within != 0 {
		doc.Confirm = o.within
	}
	if doc.Confirm < 0 {
		return exitWith(exitUnexpected, "--confirm-within %v: write a duration such as 10m", doc.Confirm)
	}
	if err := undoable(doc); err != nil {
		return err
	}
	if err := p.waitUntil(ctx, o, src); err != nil {
		return err
	}
	if err := inWindow(doc.Window, time.Now()); err != nil {
		return err
	}
	state, err := rollback.OpenStateDir(p.stateDir)
	if err != nil {
		return &exitError{exitHostCannot, err}
	}
	open, err := p.targets(doc)
	if err != nil {
		return err
	}
	defer closeAll(open)
	lanes := make([]*lane, 0, len(open))
	defer func() {
		for _, l := range lanes {
			l.close()
		}
	}()
	for _, ns := range open {
		l, err := p.openLane(ctx, state, ns, doc)
		if l != nil {
			lanes = append(lanes, l)
		}
		if err != nil {
			return err
		}
	}
	if err := src.check(state, lanes); err != nil {
		return err
	}
	for {
		if err := p.review(lanes, doc); err != nil {
			return err
		}
		if nothingToDo(lanes) {
			return nil
		}
		if o.yes || o.at != "" {
			break
		}
		if err := p.ask(ctx, false, "Apply this plan?"); err != nil {
			return err
		}
		if same, err := anew(ctx, state, src, lanes); err != nil {
			return err
		} else if same {
			break
		}
		_ = p.say("What there is to move has changed since it was shown. It is now:")
	}
	return p.runLanes(ctx, state, src, lanes)
}

// anew computes the plan once more: whoever was asked may have taken his time, and meanwhile SAs were re-keyed, the window
// has closed, or an address is gone. It reports whether the groups are still those that were shown.
func anew(ctx context.Context, state *rollback.StateDir, src *source, lanes []*lane) (same bool, err error) {
	same = true
	for _, l := range lanes {
		shown := l.plan
		if err := l.compute(ctx, state, src.doc); err != nil {
			return false, err
		}
		same = same && len(l.plan.Refusals) == 0 && slices.EqualFunc(shown.Groups, l.plan.Groups, func(a, b plan.Group) bool { return a.Name == b.Name })
		if err := l.ready(src.doc); err != nil {
			return false, err
		}
	}
	return same, src.check(state, lanes)
}

// readyAgain is ready before each wave but the first one, which begins right after ready was asked: 20,000 peers would take
// a quarter of a second for the same answer.
func (l *lane) readyAgain(doc *plan.Document) func() error {
	begun := false
	return func() error {
		if !begun {
			begun = true
			return nil
		}
		return l.ready(doc)
	}
}

// undoable refuses to promise an undo where the plan allows for what nothing can undo. What a migration can't bring back
// is refused in any plan (plan.SlugIrreversible).
func undoable(doc *plan.Document) error {
	if doc.Confirm != 0 && doc.OnExist == plan.OnExistReestablish && doc.Reestablish.AcceptLoss {
		return exitWith(exitRefused, "a run that is to be undone unless it is confirmed must not lose SAs, and with onExist: reestablish and "+
			"reestablish.unowned: accept-loss it may: nobody could bring them back. Leave out accept-loss, or the confirmation")
	}
	return nil
}

func inWindow(w plan.Window, now time.Time) error {
	switch {
	case !w.NotBefore.IsZero() && now.Before(w.NotBefore):
		return exitWith(exitHostCannot, "the plan's window opens at %s, in %v", w.NotBefore.Format(time.RFC3339),
			w.NotBefore.Sub(now).Round(time.Second))
	case !w.NotAfter.IsZero() && !now.Before(w.NotAfter):
		return exitWith(exitHostCannot, "the plan's window closed at %s, %v ago", w.NotAfter.Format(time.RFC3339),
			now.Sub(w.NotAfter).Round(time.Second))
	}
	return nil
}

// lane is the work in one network namespace, from taking its lock to letting go.
type lane struct {
	ns   target
	conn *xfrm.Conn
	lock *rollback.Lock
	inv  *plan.Inventory
	plan *plan.Plan
	ike  *ike.Part // what an IKE daemon has to do; nil is nothing

	preflight *executor.Preflight
	cookie    uint64
}

// openLane takes the namespace's lock and computes the plan under it, so that what is shown is what is done.
func (p *program) openLane(ctx context.Context, state *rollback.StateDir, ns target, doc *plan.Document) (*lane, error) {
	l := &lane{ns: ns}
	var err error
	if l.conn, err = ns.Dial(); err != nil {
		return nil, err
	}
	if err := l.conn.MigrateSupported(); err != nil {
		return l, err
	}
	if l.cookie, err = l.conn.Cookie(); err != nil {
		return l, err
	}
	if l.lock, err = lockOf(state, ns.namespace, l.cookie); err != nil {
		return l, err
	}
	if err := p.unfinished(state, l.cookie, ns.name); err != nil {
		return l, err
	}
	return l, l.compute(ctx, state, doc)
}

// compute computes the lane's plan from what is there now.
func (l *lane) compute(ctx context.Context, state *rollback.StateDir, doc *plan.Document) (err error) {
	if l.inv, err = l.ns.Inventory(l.conn); err != nil {
		return err
	}
	l.plan = plan.Compute(doc, l.inv)
	l.preflight = executor.NewPreflight(l.plan, doc.Checks)
	if l.ike, err = ike.Consult(ctx, doc, l.plan); err != nil {
		return err
	}
	return refuseTwice(state, doc, l.plan, l.cookie)
}

// ready makes sure that a wave may begin: the plan's window is open, and the host has the addresses and routes.
func (l *lane) ready(doc *plan.Document) error {
	if err := inWindow(doc.Window, time.Now()); err != nil {
		return err
	}
	err := l.preflight.Check(l.ns)
	if errors.Is(err, executor.ErrPreflight) {
		err = &exitError{exitHostCannot, err}
	}
	return err
}

// refuseTwice adds a refusal to a plan that was applied here already and would move some SAs once more.
func refuseTwice(state *rollback.StateDir, doc *plan.Document, p *plan.Plan, cookie uint64) error {
	if p.Empty() || !doc.MeetsItself() {
		return nil
	}
	run, err := state.Applied(doc.Digest, cookie)
	if err == nil && run != "" {
		p.RefuseTwice(run)
	}
	return err
}

// unfinished refuses to start beside a run of the same namespace and boot that never came to its end.
func (p *program) unfinished(state *rollback.StateDir, cookie uint64, netns string) error {
	runs, err := state.Unfinished(cookie)
	if err != nil || len(runs) == 0 {
		return err
	}
	return p.notOver(state, runs[0], netns)
}

func (l *lane) unlock() {
	if l.lock != nil {
		l.lock.Close()
		l.lock = nil
	}
}

func (l *lane) close() {
	l.unlock()
	l.conn.Close()
}

// review shows each lane's plan and refuses what can't be applied.
func (p *program) review(lanes []*lane, doc *plan.Document) error {
	refused := false
	for _, l := range lanes {
		if !p.json() {
			if err := p.show(l.plan, l.ns); err != nil {
				return err
			}
		}
		refused = refused || len(l.plan.Refusals) != 0
	}
	if refused {
		return p.refusal(lanes)
	}
	for _, l := range lanes {
		if err := l.ready(doc); err != nil {
			return err
		}
	}
	if p.json() && nothingToDo(lanes) {
		return p.show(lanes[0].plan, lanes[0].ns)
	}
	return nil
}

func (p *program) refusal(lanes []*lane) error {
	if p.json() {
		for _, l := range lanes {
			if err := p.show(l.plan, l.ns); err != nil {
				return err
			}
		}
	}
	return &exitError{code: refusalCode(lanes)}
}

// refusalCode tells a plan that has to be changed from a host that has to be put in order first.
func refusalCode(lanes []*lane) int {
	for _, l := range lanes {
		for _, r := range l.plan.Refusals {
			if r.Slug == plan.SlugBlockOrphan {
				return exitBusy
			}
		}
	}
	return exitRefused
}

func nothingToDo(lanes []*lane) bool {
	for _, l := range lanes {
		if !l.plan.Empty() {
			return false
		}
	}
	return true
}

// runID names a run so that names sort by time.
func runID(now time.Time, salt uint32) string {
	return fmt.Sprintf("%s-%04x", now.UTC().Format("20060102T150405Z"), salt&0xffff)
}
