package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// TestRecoverLeavesARunThatMayYetBeConfirmed: neither way is for recover to choose.
func TestRecoverLeavesARunThatMayYetBeConfirmed(t *testing.T) {
	s := newSite(t, 2)
	end := s.awaiting(t.Context(), "1h")
	says := []string{"awaits its confirmation: `xfrm-plan confirm " + s.last() + " --state-dir " + s.dir + "`, or `xfrm-plan rollback"}
	s.runs(exitBusy, says, "recover", "--yes")
	s.runs(exitBusy, says, "recover", "--forward", "--yes")
	s.isAt("198.51.100.1", 4)
	s.runs(exitOK, nil, "confirm")
	if code, out := end(); code != exitOK || !strings.Contains(out, "is confirmed: it stays") {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

// TestApplyTellsWhoUndidIt has somebody undo the run long before its time is over.
func TestApplyTellsWhoUndidIt(t *testing.T) {
	s := newSite(t, 2)
	end := s.awaiting(t.Context(), "1h")
	s.runs(exitOK, nil, "rollback", "--yes")
	if code, out := end(); code != exitUnconfirmed || !strings.Contains(out, "was undone before it was confirmed") {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

// TestApplyOfARunThatWasBroughtOn has the undo of the watchdog break off, and somebody decide for the new addresses.
func TestApplyOfARunThatWasBroughtOn(t *testing.T) {
	s := newSite(t, 2)
	s.guarded = false
	end := s.awaiting(t.Context(), "1h")
	lock, err := s.state.Lock(s.h.kernel.Cookie())
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.state.Resume(s.last(), "done", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.End(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	if code, out := end(); code != exitOK || !strings.Contains(out, "was brought on to the new addresses") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	s.isAt("198.51.100.1", 4)
}

// TestApplyUndoesWhatNoWatchdogDoes has the watchdog be gone when the time is over.
func TestApplyUndoesWhatNoWatchdogDoes(t *testing.T) {
	s := newSite(t, 2)
	s.guarded = false
	end := s.awaiting(t.Context(), "100ms")
	s.until(func() bool {
		left, err := s.awaited().Until.Left()
		return err != nil || left <= 0
	})
	s.runs(exitUnconfirmed, []string{"the time to confirm it is over: it is undone; if its watchdog is gone, by `xfrm-plan rollback"}, "confirm", s.last())
	s.runs(exitOK, []string{"not confirmed in time, to be undone"}, "status")
	code, out := end()
	if code != exitUnconfirmed || !strings.Contains(out, "was not confirmed in time and was undone") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	s.isAt("192.0.2.1", 4)
	if len(s.told) != 1 {
		t.Errorf("everybody was told %q", s.told)
	}
}

// awaited is the run that awaits its confirmation.
func (s *site) awaited() *rollback.Summary {
	s.t.Helper()
	sum, err := s.state.Summary(s.last())
	if err != nil {
		s.t.Fatal(err)
	}
	return sum
}

// TestApplyTakesASignalWhileOthersHoldTheLock: a signal that comes in that moment is not lost.
func TestApplyTakesASignalWhileOthersHoldTheLock(t *testing.T) {
	s := newSite(t, 2)
	ctx, interrupt := context.WithCancel(t.Context())
	end := s.awaiting(ctx, "1h")
	lock, err := s.state.Lock(s.h.kernel.Cookie())
	if err != nil {
		t.Fatal(err)
	}
	interrupt()
	time.Sleep(2 * confirmPoll)
	lock.Close()
	if code, out := end(); code != exitInterrupted || !strings.Contains(out, "was interrupted before it was confirmed and was undone") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	s.isAt("192.0.2.1", 4)
}

// TestUndoIsToldThoughTheJournalCantSaySo has a journal that can't be written any more, as on a disk that is full.
func TestUndoIsToldThoughTheJournalCantSaySo(t *testing.T) {
	s := newSite(t, 2)
	end := s.awaiting(t.Context(), "500ms")
	// To open a file for writing that somebody has a lease on fails with EWOULDBLOCK.
	f, err := os.Open(filepath.Join(s.state.RunDir(s.last()), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		t.Skip("no leases here: ", err)
	}
	if code := <-s.dogs; code != exitUnconfirmed {
		t.Errorf("the watchdog ends with %d", code)
	}
	s.isAt("192.0.2.1", 4)
	s.mu.Lock()
	if len(s.told) != 1 || !strings.HasSuffix(s.told[0], "was not confirmed in time and was undone.") {
		t.Errorf("everybody was told %q", s.told)
	}
	s.mu.Unlock()
	if code, out := end(); code != exitUnconfirmed || !strings.Contains(out, "was not confirmed in time and was undone") {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

// TestWatchdogLooksOnceMoreUnderTheLock: it has waited for the lock of an apply that says at its end how long it may be
// confirmed, which is not over.
func TestWatchdogLooksOnceMoreUnderTheLock(t *testing.T) {
	s := newSite(t, 2)
	s.guarded = false
	ctx, interrupt := context.WithCancel(t.Context())
	end := s.awaiting(ctx, "1h")
	s.p.stateDir = s.dir
	u, err := s.p.attach(true)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	const longAgo = 1
	if over, err := s.p.expire(t.Context(), u, s.state.Follow(s.last()), longAgo); over || err != nil {
		t.Errorf("over %v, %v", over, err)
	}
	s.isAt("198.51.100.1", 4)
	interrupt()
	end()
}

// TestConfirmTriesAllRuns has the lock of one of them be held.
func TestConfirmTriesAllRuns(t *testing.T) {
	s := newSite(t, 1)
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	now, err := rollback.Now()
	if err != nil {
		t.Fatal(err)
	}
	awaits := func(run, boot string, cookie uint64) {
		t.Helper()
		j, err := s.state.Create(rollback.Header{Run: run, Plan: "p", BootID: boot, Cookie: cookie, Started: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Await(now + rollback.Boottime(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	const first, second, gone = "20261124T000000Z-0001", "20261124T000000Z-0002", "20261124T000000Z-0003"
	awaits(first, boot, 100)
	awaits(second, boot, 101)
	awaits(gone, "another", 101)
	lock, err := s.state.Lock(100)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	s.runs(exitBusy, []string{"Run " + second + " is confirmed: it stays", "run " + first + ": another run is at work"}, "confirm")
	s.runs(exitUnconfirmed, []string{"does not await confirmation (ended by a reboot)"}, "confirm", gone)
}

// TestWatchdogTriesAgainWhatMayPass: nobody else undoes the run.
func TestWatchdogTriesAgainWhatMayPass(t *testing.T) {
	for _, tt := range []struct {
		err  error
		pass bool
	}{
		{&fs.PathError{Op: "open", Err: unix.EMFILE}, true},
		{fmt.Errorf("open the lock: %w", unix.EROFS), true},
		{fmt.Errorf("%w (process 1)", rollback.ErrLocked), true},
		{rollback.ErrUnusable, false},
		{rollback.ErrVersion, false},
		{rollback.ErrUnsafe, false},
	} {
		if got := passing(tt.err); got != tt.pass {
			t.Errorf("%v passes: %v", tt.err, got)
		}
	}
}
