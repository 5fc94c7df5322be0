package rollback

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Here lists the runs of this boot in the network namespace of the cookie, the oldest first, among them those of which
// that can't be told, because their journal is damaged from its beginning.
//
// With ErrVersion a journal is of another format, and only the program that wrote it knows what that run has left behind.
func (d *StateDir) Here(cookie uint64) ([]string, error) {
	boot, err := d.boot()
	if err != nil {
		return nil, err
	}
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	var here []Header
	for _, run := range runs {
		h, err := d.readHeader(run)
		switch {
		case errors.Is(err, errNeverBegan), errors.Is(err, errSetAside):
			continue
		case errors.Is(err, ErrUnusable):
			h = Header{Started: began(run)}
		case err != nil && !errors.Is(err, ErrVersion):
			return nil, err
		case h.BootID != "" && (h.BootID != boot || h.Cookie != cookie):
			continue
		case err != nil:
			return nil, err
		}
		h.Run = run
		here = append(here, h)
	}
	slices.SortStableFunc(here, func(a, b Header) int {
		switch {
		case a.Before(&b):
			return -1
		case b.Before(&a):
			return 1
		}
		return 0
	})
	names := make([]string, len(here))
	for i := range here {
		names[i] = here[i].Run
	}
	return names, nil
}

// Elsewhere goes through the runs of this boot in other network namespaces than that of the cookie, by their names, which
// have their times. What can't be read it leaves out: nothing is done to those runs.
func (d *StateDir) Elsewhere(cookie uint64, f func(*Past) error) error {
	boot, err := d.boot()
	if err != nil {
		return err
	}
	runs, err := d.Runs()
	if err != nil {
		return err
	}
	for _, run := range runs {
		if h, err := d.readHeader(run); err != nil || h.BootID != boot || h.Cookie == cookie {
			continue
		}
		p, err := d.ReadJournal(run)
		if err != nil || !p.Begun {
			continue
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// began is when a run began by its name, which has the second. It may be the last one of that.
func began(run string) time.Time {
	second, _, _ := strings.Cut(run, "-")
	at, err := time.Parse("20060102T150405Z", second)
	if err != nil {
		return time.Time{}
	}
	return at.Add(time.Second)
}

// Unfinished lists the runs of this boot in the network namespace of the cookie that have touched the kernel, as far as
// can be told, and never came to their end, the oldest first. Runs of another boot or namespace left nothing behind to
// finish. A run whose journal is damaged counts as unfinished: recover sees to it. For ErrVersion see Here.
func (d *StateDir) Unfinished(cookie uint64) ([]string, error) {
	here, err := d.Here(cookie)
	if err != nil {
		return nil, err
	}
	var open []string
	for _, run := range here {
		s, err := d.Summary(run)
		switch {
		case err != nil && !errors.Is(err, ErrUnusable):
			return nil, err
		case err != nil, !s.Ended && s.Begun:
			open = append(open, run)
		}
	}
	return open, nil
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
		h, err := d.readHeader(run)
		why := ""
		switch {
		case err != nil: // what can't be read is Unfinished's to tell
			continue
		case h.BootID != boot:
			why = "ended by a reboot"
		case netns != "" && h.NetNS == netns && h.Cookie != cookie:
			why = "ended with its network namespace"
		default:
			continue
		}
		if s, err := d.Summary(run); err != nil || s.Ended {
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
		h, err := d.readHeader(run)
		if h.Started.After(now.Add(-keepFor)) {
			continue
		}
		over := errors.Is(err, errNeverBegan) || err == nil && h.BootID != boot
		if err == nil && !over {
			s, err := d.Summary(run)
			over = err == nil && s.Ended
		}
		if !over {
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
