package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	r.indexes.forget()
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
	one := func(gi int) {
		// Groups that are not started come to their end too: others may wait for it.
		defer close(r.ended[gi])
		if stop() {
			return
		}
		if err := r.group(gi, w.Name); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
		}
	}
	// Each worker takes the next group: a goroutine for each would have to grow its stack each time.
	var workers errgroup.Group
	var taken atomic.Int64
	for range min(r.cfg.Parallelism, len(w.Groups)) {
		workers.Go(func() error {
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(w.Groups) {
					return nil
				}
				one(w.Groups[i])
			}
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
		if err := r.follow(ctx, w); err != nil {
			failures = multierror.Append(failures, err)
		}
	}
	return joined(failures)
}

// group runs one group's transaction to an end.
func (r *run) group(gi int, wave string) error {
	tx := &r.txs[gi]
	for _, before := range r.plan.Groups[gi].After {
		<-r.ended[before]
		if r.outcome(before) != Done {
			return r.skip(gi, fmt.Errorf("it was not started: its place is held by %s, which was not moved", r.txs[before].Name))
		}
	}
	r.event(Event{Kind: GroupStarted, Wave: wave, Group: tx.Name})
	a := r.attempt(tx)
	err := a.check()
	for n := 1; errors.Is(err, errChanged) && n < againRounds && r.again(gi); n++ {
		a = r.attempt(tx)
		err = a.check()
	}
	if err != nil {
		if r.adopt(gi) {
			return nil
		}
		return r.skip(gi, err)
	}
	r.holding.Lock()
	err = a.run()
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
		r.indexes.put(a.covers.tagged)
		r.end(gi, Done, settled{}, nil, a.blockedAt, span)
		return nil
	}
	return r.mend(gi, a, err)
}

// skip leaves a group as it is.
func (r *run) skip(gi int, err error) error {
	r.cfg.Journal.Settled(r.txs[gi].Name, Untouched)
	r.event(Event{Kind: GroupSkipped, Group: r.txs[gi].Name, Text: err.Error(), Answers: answersOf(err)})
	return err
}

// mend goes on with a transaction in which something went wrong: forward, if what went wrong was only an answer that
// got lost or if the SAs are all there; back otherwise.
func (r *run) mend(gi int, a *attempt, failed error) error {
	if a.goesOn(failed) {
		got, err := settle(a.conn, a.tx, &r.indexes)
		if err == nil && len(got.kept) == 0 {
			r.event(Event{Kind: Note, Group: a.tx.Name, Text: failed.Error() + "; what is there was read back, and it was completed",
				Answers: answersOf(failed)})
			r.end(gi, Done, got, nil, a.blockedAt, time.Since(a.blockedAt))
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
	r.event(Event{Kind: GroupFailed, Group: a.tx.Name, Text: failed.Error(), Answers: answersOf(failed)})
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
	r.end(gi, Undone, got, err, since, time.Since(since))
	if err != nil {
		return fmt.Errorf("it could not be undone: %w", err)
	}
	return nil
}
