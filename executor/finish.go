package executor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Finish settles transactions of a run that broke off, or that is to be undone, one after the other and wherever each of
// them stands: with outcome Done all of them forward, with Undone all of them back, the last one first. Doing it twice
// does no more than doing it once. Cancelling ctx starts no other transaction.
func Finish(ctx context.Context, txs []Transaction, outcome Outcome, cfg Config) (*Report, error) {
	f := &finish{cfg: cfg, outcome: outcome, sad: &sad{conn: cfg.Conn}}
	f.indexes.start(cfg.Run + " finish")
	f.report = newReport(cfg.Run, "", txs)
	f.report.Towards = outcome
	order := make([]int, len(txs))
	for i := range txs {
		order[i] = i
	}
	if outcome == Undone {
		slices.Reverse(order)
	}
	var failures *multierror.Error
	for _, i := range order {
		if ctx.Err() != nil {
			failures = multierror.Append(failures, ErrInterrupted)
			f.event(Event{Kind: Interrupted})
			break
		}
		tx := txs[i]
		if outcome == Undone {
			tx = tx.Reversed()
		}
		if err := f.settle(i, &tx); err != nil {
			failures = multierror.Append(failures, fmt.Errorf("%s: %w", tx.Name, err))
		}
	}
	f.report.Ended = time.Now()
	return &f.report, joined(failures)
}

type finish struct {
	cfg     Config
	outcome Outcome
	indexes indexes
	sad     *sad
	report  Report
	done    int
}

func (f *finish) settle(i int, tx *Transaction) error {
	var result settled
	var err error
	if moves, step := f.daemonOf(i); len(moves) != 0 {
		result, err = f.settleWithDaemon(tx, moves, step)
	} else {
		result, err = settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	}
	f.done++
	e := endOf(tx, f.outcome, result, err)
	e.Done, e.Total = f.done, len(f.report.Groups)
	if !result.began.IsZero() {
		e.Since, e.Span = result.began, time.Since(result.began)
	}
	f.cfg.Journal.Settled(tx.Name, outcomes[e.Kind])
	f.event(e)
	for _, note := range notesOf(tx, result) {
		f.event(note)
	}
	return err
}

func (f *finish) event(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Run = f.cfg.Run
	f.report.take(&e)
	f.cfg.Emit(e)
}
