package rollback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
//	runs/RUN/progress.json  while somebody is at work on it
//
// Below it no symlink is followed, and no file is read that others could have written.
type StateDir struct {
	path string // for messages
	root *os.File

	wrap func(File) File        // around the files of journals; tests break them
	boot func() (string, error) // BootID; tests reboot
}

// OpenStateDir creates the directory if it is missing, and refuses one that others could have written to. From here on it
// is the directory that was opened, whatever takes its place under that path.
func OpenStateDir(path string) (*StateDir, error) {
	d := &StateDir{path: path, wrap: func(f File) File { return f }, boot: BootID}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create the state directory: %w%s", err, asWhom(err))
	}
	if err := d.pin(); err != nil {
		return nil, err
	}
	for _, name := range []string{"lock", "runs"} {
		if err := d.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create the state directory: %w%s", err, asWhom(err))
		}
		dir, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		dir.Close()
	}
	return d, nil
}

// asWhom says what helps against a lack of permission.
func asWhom(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return ": run as root, or give --state-dir"
	}
	return ""
}

// pin opens the directory itself.
func (d *StateDir) pin() error {
	fd, err := unix.Open(d.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		if fi, err := os.Lstat(d.path); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symlink: %w; give --state-dir the directory itself", d.path, ErrUnsafe)
		}
		return fmt.Errorf("%s is not a directory: %w", d.path, ErrUnsafe)
	case err != nil:
		return &fs.PathError{Op: "open", Path: d.path, Err: err}
	}
	d.root = os.NewFile(uintptr(fd), d.path) // closed with the last reference to it
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	if err := checkOwner(d.path, &st); err != nil {
		return err
	}
	if st.Mode&0o077 == 0 || int(st.Uid) != os.Geteuid() {
		return nil
	}
	return d.shut()
}

// shut takes from others what a directory that was there before lets them read: which tunnels there are. One that has
// more in it than ours may be there for others, and is refused.
func (d *StateDir) shut() error {
	dir, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	ours := len(names) == 0 || slices.Contains(names, "lock") && slices.Contains(names, "runs")
	if !ours {
		return fmt.Errorf("%s can be read by others and is not only ours: %w; give --state-dir a directory of its own", d.path, ErrUnsafe)
	}
	if err := dir.Chmod(0o700); err != nil && !errors.Is(err, unix.EROFS) {
		return err
	}
	return nil
}

// ErrUnsafe means that somebody else could have written what we would read.
var ErrUnsafe = errors.New("unsafe permissions")

// checkOwner refuses what belongs to somebody else than us or root, or can be written to by others.
func checkOwner(path string, st *unix.Stat_t) error {
	switch {
	case int(st.Uid) != os.Geteuid() && st.Uid != 0:
		return fmt.Errorf("%s belongs to uid %d: %w; chown it after looking at what is in it, or move it away", path, st.Uid, ErrUnsafe)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s can be written to by others (mode %#o): %w; chmod it after looking at what is in it, or move it away",
			path, st.Mode&0o777, ErrUnsafe)
	}
	return nil
}

// open opens a file or directory below the state directory.
func (d *StateDir) open(name string, flags int) (*os.File, error) {
	path := filepath.Join(d.path, name)
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: path, Err: err} }
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NONBLOCK), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	fd, err := unix.Openat2(int(d.root.Fd()), name, &how)
	runtime.KeepAlive(d) // or root could be closed in the middle of it
	switch {
	case errors.Is(err, unix.ELOOP):
		return fail(fmt.Errorf("it is a symlink, or behind one: %w; put what it leads to in its place", ErrUnsafe))
	case err != nil:
		return fail(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return fail(err)
	}
	kind := st.Mode & unix.S_IFMT
	err = checkOwner(path, &st)
	if err == nil && (kind != unix.S_IFDIR && kind != unix.S_IFREG || kind == unix.S_IFREG && st.Nlink != 1) {
		err = fmt.Errorf("%s is not a plain file: %w; move it away", path, ErrUnsafe)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// mkdir makes a directory, the parents of which are there.
func (d *StateDir) mkdir(name string) error {
	return d.atParent(name, func(fd int, base string) error { return unix.Mkdirat(fd, base, 0o700) })
}

func (d *StateDir) rmdir(run string) error {
	return d.atParent(runPath(run), func(fd int, base string) error { return unix.Unlinkat(fd, base, unix.AT_REMOVEDIR) })
}

func (d *StateDir) atParent(name string, f func(fd int, base string) error) error {
	dir, err := d.open(filepath.Dir(name), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := f(int(dir.Fd()), filepath.Base(name)); err != nil {
		return &fs.PathError{Op: "mkdir", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

func (d *StateDir) syncDir(name string) error {
	f, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// RunDir is where a run keeps its files.
func (d *StateDir) RunDir(run string) string { return filepath.Join(d.path, runPath(run)) }

// runPath is the path of a run's directory, or of a file in it, below the state directory.
func runPath(run string, name ...string) string {
	return filepath.Join(append([]string{"runs", run}, name...)...)
}

// checkRun refuses names that are not those of a run: they come from command lines.
func checkRun(run string) error {
	if run == "" || strings.HasPrefix(run, ".") || strings.ContainsAny(run, "/\x00") {
		return fmt.Errorf("%q is not the name of a run: `xfrm-plan status` lists those there are", run)
	}
	return nil
}

// Runs lists the runs, the oldest first: a run's name begins with its time.
func (d *StateDir) Runs() ([]string, error) {
	dir, err := d.open("runs", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var runs []string
	for _, e := range entries {
		if e.IsDir() && checkRun(e.Name()) == nil {
			runs = append(runs, e.Name())
		}
	}
	slices.Sort(runs)
	return runs, nil
}
