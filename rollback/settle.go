package rollback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
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
	report, failed := executor.Finish(ctx, past.Transactions, towards, executor.Config{Conn: conn, Journal: journal, Run: run, Emit: emit})
	report.Plan = past.Header.Plan
	if before, err := d.ReadReport(run); err == nil && before != nil { // what can't be read any more is no reason to stop
		report.Before = cmp.Or(before.Before, before)
	}
	if failed != nil {
		journal.Close()
		return report, errors.Join(failed, d.WriteReport(report))
	}
	if written = journal.End(); written != nil {
		written = fmt.Errorf("the kernel is settled, but the journal of run %s can't say so: %w", run, written)
	}
	return report, errors.Join(written, d.WriteReport(report))
}
