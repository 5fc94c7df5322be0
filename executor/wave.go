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
	r.watch.settled() // a daemon is not told to follow with a tunnel that has just been closed down
	// Groups that stay where they are want their daemon; those that are undone because of another one don't.
	if r.cfg.OnError != plan.OnErrorRollback || ctx.Err() == nil && !stop() && failures == nil {
		if err := r.follow(ctx, w); err != nil {
			failures = multierror.Append(failures, err)
		}
		r.leads(false, w.Groups...)
	}
	return joined(failures)
}

// group runs one group's transaction to an end.
func (r *run) group(gi int, wave string) error {
	name := r.txs[gi].Name
	for _, before := range r.plan.Groups[gi].After {
		<-r.ended[before]
		if r.outcome(before) != Done {
			return r.skip(gi, fmt.Errorf("it was not started: its place is held by %s, which was not moved", r.txs[before].Name))
		}
	}
	r.event(Event{Kind: GroupStarted, Wave: wave, Group: name})
	if r.watch.hasBlocked(gi) { // if its policies are back in time, so is the group
		r.watch.settle()
	}
	var back *mended // it was on its way when it was re-keyed
	for n := 1; ; n++ {
		a := r.attempt(&r.txs[gi])
		err := a.check()
		if err == nil {
			m := r.carryOut(gi, a)
			if !m.rekeyed() || n == againRounds || !r.again(gi, n) {
				return r.tell(gi, a, m)
			}
			r.broughtBack(a, m)
			back = m
			continue
		}
		switch {
		case errors.Is(err, errChanged) && n < againRounds && r.again(gi, n):
		case back != nil:
			back.span = 0 // was told when it was brought back
			return r.tell(gi, a, back)
		case r.adopt(gi):
			return nil
		default:
			return r.skip(gi, err)
		}
	}
}

// carryOut takes a transaction through its phases and reads everything back. What goes wrong is mended, while nobody else's traffic is held back.
// Nothing is told before that.
func (r *run) carryOut(gi int, a *attempt) *mended {
	r.holding.Lock()
	defer r.holding.Unlock()
	err := a.run()
	span := time.Since(a.blockedAt)
	if err == nil {
		r.holding.Unlock() // others need not wait for what is only read
		err = a.verify()
		r.holding.Lock()
	}
	if err == nil {
		return &mended{outcome: Done, span: span}
	}
	m := r.mend(gi, a, err)
	m.span = time.Since(a.blockedAt)
	return m
}

// skip leaves a group as it is.
func (r *run) skip(gi int, err error) error {
	r.cfg.Journal.Settled(r.txs[gi].Name, Untouched)
	r.event(Event{Kind: GroupSkipped, Group: r.txs[gi].Name, Text: err.Error(), Answers: answersOf(err)})
	r.watch.after(gi) // nobody has looked after it since it was begun
	return err
}
