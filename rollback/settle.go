package rollback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Settle brings every transaction of a run to one end, towards Done or Undone, notes in its journal that it is over and
// writes the report anew. A run that is over already is not touched unless its journal can be written: a crash on the way
// would leave blocks that nobody knows of. The lock of the namespace must be held.
//
// With an error from the kernel's side comes a report that says which groups are not settled.
func (d *StateDir) Settle(ctx context.Context, past *Past, towards executor.Outcome, conn *xfrm.Conn, emit func(executor.Event)) (*executor.Report, error) {
	run := past.Header.Run
	journal, written := d.Resume(run, towards, time.Now())
	if written != nil && past.Ended {
		journal.Close()
		return nil, written
	}
	part, err := past.part(journal)
	if err != nil {
		journal.Close()
		return nil, err
	}
	report, failed := executor.Finish(ctx, past.Transactions, towards, executor.Config{Conn: conn, Journal: journal, Run: run, Emit: emit, IKE: part})
	report.Plan = past.Header.Plan
	if before, err := d.ReadReport(run); err == nil && before != nil { // what can't be read any more is no reason to stop
		report.Before = cmp.Or(before.Before, before)
	}
	if failed != nil {
		journal.Close()
		return report, errors.Join(failed, d.WriteReport(report))
	}
	if errors.Is(written, ErrUnusable) { // Salvage has told of what can be settled; SetAside comes next
		journal.Close()
		return report, d.WriteReport(report)
	}
	if written = journal.End(); written != nil {
		written = fmt.Errorf("the kernel is settled, but the journal of run %s can't say so: %w", run, written)
	}
	return report, errors.Join(written, d.WriteReport(report))
}

// part is what the run's IKE daemon had to do with it, nil if it had nothing. A journal that can't be written keeps nobody from bringing the daemon back.
func (p *Past) part(j *Journal) (*ike.Part, error) {
	if len(p.Daemon) == 0 {
		return nil, nil
	}
	part := &ike.Part{
		Moves: make([][]ike.Move, len(p.Transactions)), Steps: make([]ike.Step, len(p.Transactions)),
		Note: func(n ...ike.Note) error { _ = j.Daemon(n...); return nil },
	}
	for i := range p.Transactions {
		n, ok := p.Daemon[p.Transactions[i].Name]
		if !ok {
			continue
		}
		if part.Driver == nil {
			var err error
			if part.Driver, err = ike.Open(n.Config); err != nil {
				return nil, fmt.Errorf("run %s: %w", p.Header.Run, err)
			}
			part.Config, part.Follow, part.OnLoss = n.Config, n.Follow, n.OnLoss
		}
		part.Moves[i], part.Steps[i] = n.Moves, n.Step
	}
	if part.Driver == nil {
		return nil, nil
	}
	return part, nil
}
