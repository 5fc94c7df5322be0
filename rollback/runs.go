package rollback

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Unfinished lists the runs of this boot in the network namespace of the cookie that have touched the kernel, as far as
// can be told, and never came to their end, the oldest first. Runs of another boot or namespace left nothing behind to
// finish. A run whose journal is damaged counts as unfinished: recover sees to it.
func (d *StateDir) Unfinished(cookie uint64) ([]string, error) {
	boot, err := d.boot()
	if err != nil {
		return nil, err
	}
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	type found struct {
		run    string
		header Header
	}
	var open []found
	for _, run := range runs {
		p, err := d.ReadJournal(run)
		switch {
		case errors.Is(err, errNeverBegan), errors.Is(err, errSetAside):
		case errors.Is(err, ErrUnusable):
			if h := p.Header; h.BootID == "" || h.BootID == boot && h.Cookie == cookie {
				open = append(open, found{run, h})
			}
		case err != nil:
			return nil, err
		case p.Header.Cookie == cookie && p.Header.BootID == boot && !p.Ended && len(p.Transactions) != 0:
			open = append(open, found{run, p.Header})
		}
	}
	slices.SortStableFunc(open, func(a, b found) int {
		switch {
		case a.header.Before(&b.header):
			return -1
		case b.header.Before(&a.header):
			return 1
		}
		return 0
	})
	names := make([]string, len(open))
	for i := range open {
		names[i] = open[i].run
	}
	return names, nil
}

// Bygone marks the runs that never came to their end and have nothing left to undo, and returns how many: those of
// another boot, and those of a network namespace of the same name that is no more. A namespace of another name may be
// there still.
func (d *StateDir) Bygone(netns string, cookie uint64) (n int, err error) {
	boot, err := d.boot()
	if err != nil {
		return 0, err
	}
	runs, err := d.Runs()
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		p, err := d.ReadJournal(run)
		if err != nil || p.Ended {
			continue // what can't be read is Unfinished's to tell
		}
		why := ""
		switch h := p.Header; {
		case h.BootID != boot:
			why = "ended by a reboot"
		case netns != "" && h.NetNS == netns && h.Cookie != cookie:
			why = "ended with its network namespace"
		default:
			continue
		}
		if err := d.markEnded(run, why); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// markEnded notes that a run that broke off is over.
func (d *StateDir) markEnded(run, why string) error {
	j, err := d.reopen(run)
	if err != nil {
		j.Close()
		return fmt.Errorf("write the journal of run %s: %w", run, err)
	}
	return j.end(why)
}

const asideName = "journal.damaged"

var errSetAside = errors.New("its journal was damaged and has been set aside")

// SetAside takes a damaged journal out of the way, when recovery without it has done what can be done. It is kept for
// people to look at.
func (d *StateDir) SetAside(run string) error {
	dir, err := d.open(runPath(run), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	if err := unix.Renameat(fd, journalName, fd, asideName); err != nil {
		return fmt.Errorf("set the journal of run %s aside: %w", run, err)
	}
	return dir.Sync()
}

// Runs that are over are kept for a while, so that status and rollback [RUN] can tell of them.
const (
	keepRuns = 100
	keepFor  = 30 * 24 * time.Hour
)

// Prune removes runs that are over: those that are neither among the last 100 nor of the last 30 days. What is
// unfinished or can't be read stays.
func (d *StateDir) Prune(now time.Time) error {
	runs, err := d.Runs()
	if err != nil || len(runs) <= keepRuns {
		return err
	}
	boot, err := d.boot()
	if err != nil {
		return err
	}
	var failed []error
	for _, run := range runs[:len(runs)-keepRuns] {
		p, err := d.ReadJournal(run)
		over := errors.Is(err, errNeverBegan) || err == nil && (p.Ended || p.Header.BootID != boot)
		if !over || p.Header.Started.After(now.Add(-keepFor)) {
			continue
		}
		failed = append(failed, d.remove(run))
	}
	return errors.Join(failed...)
}

// remove removes a run's files and its directory. Of a removal that breaks off the journal is what goes last.
func (d *StateDir) remove(run string) error {
	dir, err := d.open(runPath(run), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, name := range []string{reportName, newReportName, progressName, newProgressName, journalName} {
		if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove run %s: %w", run, err)
		}
	}
	return d.rmdir(run)
}
