package rollback_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

func TestStandingTellsWhoIsAtWorkAndKeepsNobodyOut(t *testing.T) {
	d, err := rollback.OpenStateDir(t.TempDir() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	h := rollback.Header{Run: "20260101T000000Z-0001", BootID: boot, Cookie: 7, Started: time.Now(), Process: os.Getpid(),
		Waves: []rollback.HeaderWave{{Name: "canary", Groups: 1}, {Name: "rest", Groups: 9}}}
	lock, err := d.Lock(7)
	if err != nil {
		t.Fatal(err)
	}
	j, err := d.Create(h)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(state string, process, wave int) *rollback.Past {
		t.Helper()
		past, err := d.ReadJournal(h.Run)
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.Standing(past)
		if err != nil || s.State != state || s.Process != process || s.Wave != wave || s.Groups != 10 {
			t.Errorf("%+v, %v; want %q by process %d in wave %d", s, err, state, process, wave)
		}
		return past
	}
	self := os.Getpid()
	expect("at work", self, 0)
	if err := j.Intend([]executor.Transaction{{Name: "first"}}); err != nil {
		t.Fatal(err)
	}
	expect("at work", self, 1)
	if err := j.Intend([]executor.Transaction{{Name: "second"}}); err != nil {
		t.Fatal(err)
	}
	expect("at work", self, 2)
	j.Close()
	lock.Close()
	expect("unfinished", 0, 2)
	if lock, err = d.Lock(7); err != nil {
		t.Fatalf("to look at a run took its lock: %v", err)
	}
	resumed, err := d.Resume(h.Run, executor.Undone, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	expect("being undone", self, 2)
	if err := resumed.End(); err != nil {
		t.Fatal(err)
	}
	expect("ended", 0, 2)
	lock.Close()
}

// TestStandingDoesNotTakeAnyLockHolderForTheRun has somebody else hold the lock of a run that was killed: recover, which
// asks its question.
func TestStandingDoesNotTakeAnyLockHolderForTheRun(t *testing.T) {
	state := t.TempDir() + "/state"
	d, err := rollback.OpenStateDir(state)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	lock, err := d.Lock(7)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	j, err := d.Create(rollback.Header{Run: "20260101T000000Z-0001", BootID: boot, Cookie: 7, Started: time.Now(), Process: gone.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Intend([]executor.Transaction{{Name: "first"}}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	past, err := d.ReadJournal("20260101T000000Z-0001")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := d.Standing(past); err != nil || s.State != "unfinished" || s.Process != 0 || s.Groups != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(state+"/lock/7", []byte(strings.Repeat("9", 30)), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Standing(past); err != nil || s.Process != 0 {
		t.Errorf("with rubbish in the lock's file: %+v, %v", s, err)
	}
}

// TestProgressIsThatOfWhoIsAtWork finds what a process has told that was killed, and what is told by the one that is at
// work in its place.
func TestProgressIsThatOfWhoIsAtWork(t *testing.T) {
	d, err := rollback.OpenStateDir(t.TempDir() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := d.Lock(7)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	h := rollback.Header{Run: "20260101T000000Z-0001", BootID: boot, Cookie: 7, Started: time.Now(), Process: os.Getpid()}
	j, err := d.Create(h)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	told := func(want bool) {
		t.Helper()
		past, err := d.ReadJournal(h.Run)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := d.Standing(past); err != nil || (s.Progress != nil) != want || want && s.Progress.Blocked != 3 {
			t.Errorf("%+v, %v; want some: %v", s.Progress, err, want)
		}
	}
	told(false)
	for _, step := range []struct {
		process int
		want    bool
	}{{os.Getpid() + 1, false}, {os.Getpid(), true}} {
		if err := d.WriteProgress(h.Run, rollback.Progress{Process: step.process, Blocked: 3}); err != nil {
			t.Fatal(err)
		}
		told(step.want)
	}
	for range 2 { // the second time there is none
		if err := d.RemoveProgress(h.Run); err != nil {
			t.Error(err)
		}
		told(false)
	}
}
