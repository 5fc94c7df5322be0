package rollback

import (
	"errors"
	"strings"
	"time"

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
	boot, err := d.boot()
	if err != nil {
		return "", err
	}
	runs, err := d.Runs()
	if err != nil {
		return "", err
	}
	var latest string
	var last time.Time
	for _, run := range runs {
		p, err := d.ReadJournal(run)
		if errors.Is(err, errNeverBegan) || errors.Is(err, errSetAside) {
			continue
		}
		if err != nil && !errors.Is(err, ErrUnusable) {
			return "", err
		}
		at := p.Header.Started
		switch {
		case p.Header.BootID == "":
			// A run's name has its second. It may be the last one of that.
			second, _, _ := strings.Cut(run, "-")
			if at, err = time.Parse("20060102T150405Z", second); err != nil {
				continue
			}
			at = at.Add(time.Second)
		case p.Header.BootID != boot, p.Header.Cookie != cookie:
			continue
		}
		if latest == "" || at.After(last) {
			latest, last = run, at
		}
	}
	return latest, nil
}
