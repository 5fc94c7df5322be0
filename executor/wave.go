package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// wave runs the groups of one wave and collects every failure, not only the first.
func (r *run) wave(ctx context.Context, w *plan.Wave) error {
	txs := make([]Transaction, len(w.Groups))
	for i, gi := range w.Groups {
		txs[i] = r.txs[gi]
	}
	if err := r.cfg.Journal.Intend(txs); err != nil {
		return fmt.Errorf("%w, so nothing of the wave was touched: %w", ErrJournal, err)
	}
	if err := r.intendDaemon(w); err != nil {
		return err
	}
	var failures *multierror.Error
	var mu sync.Mutex
	stop := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return ctx.Err() != nil || failures != nil && r.cfg.OnError != plan.OnErrorContinue
	}
	var workers errgroup.Group
	workers.SetLimit(r.cfg.Parallelism)
	for _, gi := range w.Groups {
		// Groups that are not started come to their end too: others may wait for it.
		workers.Go(func() error {
			defer close(r.ended[gi])
			if stop() {
				return nil
			}
			if err := r.group(gi); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
			}
			return nil
		})
	}
	_ = workers.Wait() // the workers' errors are in failures
	if ctx.Err() == nil && !stop() {
		if err := r.gate(ctx, w); err != nil {
			failures = multierror.Append(failures, err)
		}
	}
	// Groups that stay where they are want their daemon; those that are undone because of another one don't.
	if r.cfg.OnError != plan.OnErrorRollback || ctx.Err() == nil && !stop() && failures == nil {
		if err := r.follow(w); err != nil {
			failures = multierror.Append(failures, err)
		}
	}
	return joined(failures)
}

// group runs one group's transaction to an end.
func (r *run) group(gi int) error {
	tx := &r.txs[gi]
	for _, before := range r.plan.Groups[gi].After {
		<-r.ended[before]
		if r.outcome(before) != Done {
			return r.skip(gi, fmt.Errorf("it was not started: its place is held by %s, which was not moved", r.txs[before].Name))
		}
	}
	r.event(Event{Kind: GroupStarted, Group: tx.Name})
	a := &attempt{conn: r.cfg.Conn, tx: tx, covers: coversOf(tx, &r.indexes)}
	if err := a.check(); err != nil {
		if r.adopt(gi) {
			return nil
		}
		return r.skip(gi, err)
	}
	r.holding.Lock()
	err := a.run()
	r.holding.Unlock()
	span := time.Since(a.blockedAt)
	if err == nil {
		err = a.verify()
	}
	for _, e := range a.events {
		e.Group = tx.Name
		r.event(e)
	}
	if err == nil {
		r.end(gi, Done, settled{}, nil, span)
		return nil
	}
	return r.mend(gi, a, err)
}

// skip leaves a group as it is.
func (r *run) skip(gi int, err error) error {
	r.problem(gi, err)
	r.cfg.Journal.Settled(r.txs[gi].Name, Untouched)
	r.event(Event{Kind: GroupSkipped, Group: r.txs[gi].Name, Text: err.Error()})
	return err
}

// mend goes on with a transaction in which something went wrong: forward, if what went wrong was only an answer that
// got lost or if the SAs are all there; back otherwise.
func (r *run) mend(gi int, a *attempt, failed error) error {
	if a.goesOn(failed) {
		got, err := settle(a.conn, a.tx, &r.indexes)
		if err == nil && len(got.kept) == 0 {
			r.event(Event{Kind: Note, Group: a.tx.Name, Text: failed.Error() + "; what is there was read back, and it was completed"})
			r.end(gi, Done, got, nil, time.Since(a.blockedAt))
			return nil
		}
		failed = errors.Join(failed, err)
		for _, text := range got.kept {
			failed = errors.Join(failed, errors.New(text))
		}
	}
	if len(r.moves(gi)) != 0 && r.cfg.IKE.OnLoss && isLost(a.conn, a.tx, &r.indexes) {
		return r.reestablish(gi, a, failed)
	}
	r.event(Event{Kind: GroupFailed, Group: a.tx.Name, Text: failed.Error()})
	r.problem(gi, failed)
	return errors.Join(failed, r.undo(gi, a.blockedAt))
}

// goesOn reads the SAs rather than guess from errors where they are.
func (a *attempt) goesOn(failed error) bool {
	var refusal *xfrm.Error
	if !errors.As(failed, &refusal) && errors.Is(failed, xfrm.ErrOutcomeUnknown) {
		return true
	}
	q := new(query)
	places := make([]place, len(a.tx.Moves))
	locate(q, a.tx.Moves, places)
	if q.run(a.conn) != nil {
		return false
	}
	for _, at := range places {
		if at != there {
			return false
		}
	}
	return len(places) != 0
}

// undo brings a group back to where it was.
func (r *run) undo(gi int, since time.Time) error {
	if r.daemon[gi] != nil {
		return r.followBack(gi)
	}
	reversed := r.txs[gi].Reversed()
	got, err := settle(r.cfg.Conn, &reversed, &r.indexes)
	r.end(gi, Undone, got, err, time.Since(since))
	if err != nil {
		return fmt.Errorf("it could not be undone: %w", err)
	}
	return nil
}
