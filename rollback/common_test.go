package rollback_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// TestStateDirectoriesShareOneLock has two of them in one network namespace.
func TestStateDirectoriesShareOneLock(t *testing.T) {
	open := func(path string) *rollback.StateDir {
		t.Helper()
		d, err := rollback.OpenStateDir(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	lock := func(d, common *rollback.StateDir, cookie uint64) *rollback.Lock {
		t.Helper()
		l, err := d.LockWith(common, cookie)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	top := t.TempDir()
	a, b, common := open(top+"/a"), open(top+"/b"), open(top+"/common")
	held := lock(a, common, 1)
	if _, err := b.LockWith(common, 1); !errors.Is(err, rollback.ErrLocked) {
		t.Errorf("with another directory: %v", err)
	}
	lock(b, common, 2).Close() // another network namespace
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	const run = "20261124T000000Z-0001"
	j, err := a.Create(rollback.Header{Run: run, BootID: boot, Cookie: 1, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Intend([]executor.Transaction{{Name: "g"}}), j.Close()); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if _, err := b.LockWith(common, 1); !errors.Is(err, rollback.ErrOtherDir) || !strings.Contains(err.Error(), "run "+run+" in "+top+"/a: give --state-dir "+top+"/a") {
		t.Errorf("beside an unfinished run in another directory: %v", err)
	}
	lock(a, common, 1).Close()
	if j, err = a.Resume(run, executor.Undone, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.End(); err != nil {
		t.Fatal(err)
	}
	lock(b, common, 1).Close()
	lock(a, common, 1).Close()
}
