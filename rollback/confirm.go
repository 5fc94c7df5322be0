package rollback

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A run that has to be confirmed does not end when all is done: its journal says until when it awaits the word. Then
// either Confirm ends it, or whoever keeps watch undoes it.

// Boottime is a moment on CLOCK_BOOTTIME: the time since the machine was started, suspension included. Setting the clock
// doesn't move it.
type Boottime time.Duration

// Now reads CLOCK_BOOTTIME.
func Now() (Boottime, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", err)
	}
	return Boottime(ts.Nano()), nil
}

// Left is how long it is from now to b; negative if b has passed.
func (b Boottime) Left() (time.Duration, error) {
	now, err := Now()
	return time.Duration(b - now), err
}

type awaiting struct {
	Until Boottime `json:"untilBoottimeNanoseconds"`
}

// Await notes that all is done and has to be confirmed before a moment, and closes the journal.
func (j *Journal) Await(until Boottime) error {
	payload, err := jsonPayload(kindAwaiting, awaiting{until})
	if err == nil {
		err = j.append(true, payload)
	}
	return errors.Join(err, j.f.Close())
}

// Awaits reports whether the run awaits its confirmation.
func (s *Summary) Awaits() bool { return s.Until != 0 && !s.Ended && len(s.Resumed) == 0 }

var (
	// ErrNotAwaiting means that there is nothing to confirm.
	ErrNotAwaiting = errors.New("it does not await confirmation")
	// ErrTooLate means that a run was not confirmed in time.
	ErrTooLate = errors.New("the time to confirm it is over")
)

// Confirm ends a run that awaits confirmation. The lock of its network namespace must be held, so that nobody undoes it
// at the same time.
func (d *StateDir) Confirm(run string) error {
	boot, err := d.boot()
	if err != nil {
		return err
	}
	s, err := d.Summary(run)
	if err != nil {
		return err
	}
	if s.Header.BootID != boot || !s.Awaits() {
		return fmt.Errorf("run %s: %w (%s)", run, ErrNotAwaiting, s.State(boot))
	}
	switch left, err := s.Until.Left(); {
	case err != nil:
		return err
	case left <= 0:
		return fmt.Errorf("run %s: %w", run, ErrTooLate)
	}
	return d.markEnded(run, confirmed)
}

// What journals say of runs that were to be confirmed.
const (
	confirmed   = "confirmed"
	unconfirmed = "not confirmed in time, undone"
)

// Unconfirmed notes why a run that was undone ended.
func (d *StateDir) Unconfirmed(run string) error { return d.markEnded(run, unconfirmed) }

// Confirmed reports whether the run was confirmed and has not been undone since.
func (s *Summary) Confirmed() bool { return s.Ended && s.EndedBecause == confirmed }

// TimedOut reports whether the run was undone because nobody confirmed it in time.
func (s *Summary) TimedOut() bool { return s.Ended && s.EndedBecause == unconfirmed }

// Awaiting lists the runs of this boot that await confirmation.
func (d *StateDir) Awaiting() ([]*Summary, error) {
	boot, err := d.boot()
	if err != nil {
		return nil, err
	}
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	var all []*Summary
	for _, run := range runs {
		if h, err := d.readHeader(run); err != nil || h.BootID != boot {
			continue
		}
		if s, err := d.Summary(run); err == nil && s.Awaits() {
			all = append(all, s)
		}
	}
	return all, nil
}
