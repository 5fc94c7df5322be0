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
	f.report = Report{Run: cfg.Run, Started: time.Now(), Groups: make([]GroupResult, len(txs))}
	order := make([]int, len(txs))
	for i := range txs {
		f.report.Groups[i] = resultOf(&txs[i])
		order[i] = i
	}
	if outcome == Undone {
		slices.Reverse(order)
	}
	var failures *multierror.Error
	for _, i := range order {
		if ctx.Err() != nil {
			failures = multierror.Append(failures, ErrInterrupted)
			f.report.Interrupted = true
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
	g := &f.report.Groups[i]
	since := time.Now()
	var result settled
	var err error
	if moves, step := f.daemonOf(i); len(moves) != 0 {
		result, err = f.settleWithDaemon(tx, moves, step)
	} else {
		result, err = settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	}
	g.Blocked = time.Since(since)
	g.conclude(f.outcome, result, err, len(tx.Moves))
	f.cfg.Journal.Settled(tx.Name, g.Outcome)
	f.done++
	event := Event{Time: time.Now(), Kind: kindOf(g.Outcome), Group: tx.Name, Span: g.Blocked, Done: f.done, Total: len(f.report.Groups)}
	if err != nil {
		event.Text = err.Error()
	}
	f.cfg.Emit(event)
	for _, text := range append(result.kept, result.notes...) {
		f.cfg.Emit(Event{Time: time.Now(), Kind: Note, Group: tx.Name, Text: text})
	}
	return err
}

// kindOf is the event that tells of a group's outcome.
func kindOf(o Outcome) Kind {
	switch o {
	case Done:
		return GroupDone
	case Undone:
		return GroupUndone
	case Unknown:
		return GroupUnknown
	case Untouched:
		return GroupSkipped
	case NotFollowed:
		return GroupNotFollowed
	}
	return GroupStuck
}
