package rollback

import (
	"errors"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Salvage returns what a damaged journal tells of in front of its damage, to be settled: its frames are chained, so what
// is there is what was written. It does so only if the kernel shows that the run broke off, by what it left over a group
// that the journal knows. Else the run may have come to its end, or be undone already, and the damage hides that: nil.
//
// Only the latest run of a network namespace may be salvaged: an earlier one could know the group from before the one
// that broke off.
func (d *StateDir) Salvage(run string, conn *xfrm.Conn) (*Past, error) {
	past, err := d.ReadJournal(run)
	switch {
	case err != nil && !errors.Is(err, ErrUnusable):
		return nil, err
	case err == nil, past.Ended:
		return nil, nil
	}
	if half, err := executor.HalfDone(conn, past.Transactions); err != nil || half == 0 {
		return nil, err
	}
	return past, nil
}

// Latest returns the last run that worked in the network namespace of the cookie, or may have: of a journal without a
// whole header it can't be told. It is empty if there is none.
func (d *StateDir) Latest(cookie uint64) (string, error) {
	here, err := d.Here(cookie)
	if err != nil || len(here) == 0 {
		return "", err
	}
	return here[len(here)-1], nil
}
