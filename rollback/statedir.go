package rollback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultStateDir is where runs are kept unless told otherwise.
const DefaultStateDir = "/var/lib/xfrm-plan"

// StateDir is the directory with what has to outlive a run:
//
//	lock/COOKIE        held while a run works in the network namespace of that cookie
//	runs/RUN/journal   what was meant
//	runs/RUN/report.json
type StateDir struct{ path string }

// OpenStateDir creates the directory if it is missing, and refuses one that others could have written to.
func OpenStateDir(path string) (*StateDir, error) {
	for _, dir := range []string{path, filepath.Join(path, "lock"), filepath.Join(path, "runs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the state directory: %w", err)
		}
		if err := checkPrivate(dir); err != nil {
			return nil, err
		}
	}
	return &StateDir{path}, nil
}

// ErrUnsafe means that somebody else could have written what we would read.
var ErrUnsafe = errors.New("unsafe permissions")

func checkPrivate(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is not a directory: %w", dir, ErrUnsafe)
	case int(st.Uid) != os.Geteuid() && st.Uid != 0:
		return fmt.Errorf("%s belongs to uid %d: %w", dir, st.Uid, ErrUnsafe)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s can be written to by others (mode %#o): %w; chmod 700 it after looking at what is in it",
			dir, st.Mode&0o777, ErrUnsafe)
	}
	return nil
}

// RunDir is where a run keeps its files.
func (d *StateDir) RunDir(run string) string { return filepath.Join(d.path, "runs", run) }

// Runs lists the runs, the oldest first: a run's name begins with its time.
func (d *StateDir) Runs() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, "runs"))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var runs []string
	for _, e := range entries {
		if e.IsDir() {
			runs = append(runs, e.Name())
		}
	}
	slices.Sort(runs)
	return runs, nil
}

// ErrLocked means that another run is at work in the network namespace.
var ErrLocked = errors.New("another run is at work in this network namespace")

// Lock is held by the one run of a network namespace. The kernel lets go of it when the process ends, however it does.
type Lock struct{ f *os.File }

// Lock takes the lock of the network namespace, or returns ErrLocked with who holds it.
func (d *StateDir) Lock(cookie uint64) (*Lock, error) {
	path := filepath.Join(d.path, "lock", strconv.FormatUint(cookie, 10))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (process %s)", ErrLocked, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// For people and the message above only.
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	return &Lock{f}, nil
}

// Close lets go.
func (l *Lock) Close() error { return l.f.Close() }
