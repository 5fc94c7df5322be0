package rollback_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// foreign is a user that is neither root nor us.
const foreign = 4711

// disown gives a file to somebody else, or where we can't, lets others write to it: neither is to be trusted.
func disown(path string) error {
	if os.Geteuid() != 0 {
		return os.Chmod(path, 0o722)
	}
	return os.Chown(path, foreign, foreign)
}

func TestStateDirOfOthersIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
	}{
		{"a symlink", func(dir string) error { return errors.Join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir)) }},
		{"a file", func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) }},
		{"somebody else's", disown},
		{"others may write to it", func(dir string) error { return os.Chmod(dir, 0o777) }},
		{"its group may write to it", func(dir string) error { return os.Chmod(dir, 0o770) }},
		{"runs is a symlink", func(dir string) error {
			return errors.Join(os.Rename(dir+"/runs", dir+"/elsewhere"), os.Symlink("elsewhere", dir+"/runs"))
		}},
		{"runs is somebody else's", func(dir string) error { return disown(dir + "/runs") }},
		{"lock is somebody else's", func(dir string) error { return disown(dir + "/lock") }},
		{"others may write to lock", func(dir string) error { return os.Chmod(dir+"/lock", 0o777) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if _, err := rollback.OpenStateDir(dir); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := rollback.OpenStateDir(dir)
			if tt.name == "a file" {
				if err == nil {
					t.Error("opened")
				}
				return
			}
			if !errors.Is(err, rollback.ErrUnsafe) || tt.name == "a symlink" && !strings.Contains(err.Error(), "is a symlink") {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

// TestStateDirThatOthersCanReadIsShut has one been made before, as by mkdir -p.
func TestStateDirThatOthersCanReadIsShut(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := rollback.OpenStateDir(dir); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("it has mode %v, %v", fi.Mode(), err)
	}
	others := t.TempDir()
	if err := errors.Join(os.Chmod(others, 0o755), os.WriteFile(others+"/theirs", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := rollback.OpenStateDir(others); !errors.Is(err, rollback.ErrUnsafe) {
		t.Errorf("a directory of others: %v", err)
	}
	if fi, err := os.Stat(others); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("it has mode %v now, %v", fi.Mode(), err)
	}
}

// TestStateDirStaysTheOneThatWasOpened has somebody put another directory in its place in the middle of a run, one in
// which everything but the owner is as it should be.
func TestStateDirStaysTheOneThatWasOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	state, err := rollback.OpenStateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := rollback.OpenStateDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := disown(dir); err != nil {
		t.Fatal(err)
	}
	lock, err := state.Lock(1)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	const run = "20261124T000000Z-0000"
	j, err := state.Create(rollback.Header{Run: run, BootID: "boot-1", Cookie: 1, Started: time.Unix(1_790_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.End(), state.WriteReport(&executor.Report{Run: run})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock/1", "runs/" + run + "/journal", "runs/" + run + "/report.json"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was written into the other directory", name)
		}
		if _, err := os.Lstat(filepath.Join(dir+".away", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestStateDirWritesThroughNoOtherName has links where files are about to be written.
func TestStateDirWritesThroughNoOtherName(t *testing.T) {
	const run = "20261124T000000Z-0000"
	for _, tt := range []struct {
		name, place string
		link        func(old, new string) error
		write       func(*rollback.StateDir) error
		refused     bool
	}{
		{"lock, symlink", "lock/1", os.Symlink, takeLock, true},
		{"lock, hard link", "lock/1", os.Link, takeLock, true},
		{"report, symlink", "runs/" + run + "/report.json.new", os.Symlink, writeReport, false},
		{"report, hard link", "runs/" + run + "/report.json.new", os.Link, writeReport, false},
		{"journal, symlink", "runs/" + run + "/journal", os.Symlink, resume, true},
		{"journal, hard link", "runs/" + run + "/journal", os.Link, resume, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			dir, victim := filepath.Join(top, "state"), filepath.Join(top, "victim")
			state, err := rollback.OpenStateDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(os.Mkdir(state.RunDir(run), 0o700), os.WriteFile(victim, []byte("as it was"), 0o600), tt.link(victim, filepath.Join(dir, tt.place)))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.write(state); (err != nil) != tt.refused || err != nil && !errors.Is(err, rollback.ErrUnsafe) {
				t.Errorf("refused: %v, want %v", err, tt.refused)
			}
			if b, err := os.ReadFile(victim); err != nil || string(b) != "as it was" {
				t.Errorf("the other file is %q, %v", b, err)
			}
		})
	}
}

func takeLock(d *rollback.StateDir) error {
	l, err := d.Lock(1)
	if err == nil {
		l.Close()
	}
	return err
}

func writeReport(d *rollback.StateDir) error {
	return d.WriteReport(&executor.Report{Run: "20261124T000000Z-0000"})
}

func resume(d *rollback.StateDir) error {
	j, err := d.Resume("20261124T000000Z-0000", executor.Undone, time.Now())
	j.Close()
	return err
}

// TestStateDirIsForItsOwnerAlone makes everything under a umask that forbids nothing.
func TestStateDirIsForItsOwnerAlone(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	dir := filepath.Join(t.TempDir(), "state")
	state, err := rollback.OpenStateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	const run = "20261124T000000Z-0000"
	j, err := state.Create(rollback.Header{Run: run, BootID: "boot-1", Cookie: 1, Started: time.Unix(1_790_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.End(), writeReport(state), takeLock(state), state.Consume("d", run)); err != nil {
		t.Fatal(err)
	}
	var seen []string
	err = filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if fi.IsDir() {
			want = os.ModeDir | 0o700
		}
		if fi.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, fi.Mode(), want)
		}
		seen = append(seen, strings.TrimPrefix(path, dir))
		return nil
	})
	if err != nil || len(seen) != 9 {
		t.Errorf("%q, %v; want the directory, lock, runs, consumed, a run and its two files, a lock, a plan", seen, err)
	}
}
