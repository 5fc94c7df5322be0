package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Finish settles transactions one after the other, wherever each of them stands: those of a run that broke off, or, for
// an undo, the reversed ones of a run in reverse order. Doing it twice does no more than doing it once. Cancelling ctx
// starts no other transaction. The report's outcomes say Done for a transaction that is settled.
func Finish(ctx context.Context, txs []Transaction, cfg Config) (*Report, error) {
	f := &finish{cfg: cfg, report: Report{Run: cfg.Run, Started: time.Now(), Groups: make([]GroupResult, len(txs))}}
	for i := range txs {
		f.report.Groups[i] = resultOf(&txs[i])
	}
	var failures *multierror.Error
	for i := range txs {
		if ctx.Err() != nil {
			failures = multierror.Append(failures, ErrInterrupted)
			f.report.Interrupted = true
			break
		}
		if err := f.settle(i, &txs[i]); err != nil {
			failures = multierror.Append(failures, fmt.Errorf("%s: %w", txs[i].Name, err))
		}
	}
	f.report.Ended = time.Now()
	return &f.report, failures.ErrorOrNil()
}

type finish struct {
	cfg     Config
	indexes indexes
	report  Report
}

func (f *finish) settle(i int, tx *Transaction) error {
	g := &f.report.Groups[i]
	since := time.Now()
	err := settle(f.cfg.Conn, tx, &f.indexes)
	g.Blocked = time.Since(since)
	event := Event{Time: time.Now(), Group: tx.Name, Span: g.Blocked, Done: i + 1, Total: len(f.report.Groups)}
	if err != nil {
		g.Outcome = Stuck
		g.Problems = append(g.Problems, err.Error())
		event.Kind, event.Text = GroupStuck, err.Error()
	} else {
		g.Outcome = Done
		g.SAsVerified = len(tx.Moves)
		event.Kind = GroupDone
	}
	f.cfg.Emit(event)
	return err
}

// Orphans deletes tagged policies that no journal tells of, where what they cover is whole again: an untagged policy
// over the same traffic that asks for protection. Those that stand alone are left and named: without them packets would
// leave in the clear.
func Orphans(conn *xfrm.Conn) (deleted int, err error) {
	policies, err := conn.Policies()
	if err != nil {
		return 0, fmt.Errorf("read the SPD: %w", err)
	}
	whole := make(map[xfrm.Key]bool, len(policies))
	for i := range policies {
		p := &policies[i]
		whole[p.Key()] = !p.Tagged() && p.Action == xfrm.Allow && len(p.Templates) != 0
	}
	var alone []error
	var reqs []xfrm.Request
	for i := range policies {
		p := &policies[i]
		if !p.Tagged() {
			continue
		}
		k := p.Key()
		k.Sel.User = 0
		if whole[k] {
			reqs = append(reqs, xfrm.DeletePolicy(p))
		} else {
			alone = append(alone, fmt.Errorf("policy %v %v (index %d) covers nothing that protects its traffic: it stays", p.Dir, p.Sel, p.Index))
		}
	}
	err = errors.Join(conn.Do(reqs...)...)
	if err != nil {
		return 0, errors.Join(append(alone, fmt.Errorf("delete tagged policies: %w", err))...)
	}
	return len(reqs), errors.Join(alone...)
}
