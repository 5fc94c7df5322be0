package rollback

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another run is at work in the network namespace.
var ErrLocked = errors.New("another run is at work in this network namespace")

// Lock is held by the one run of a network namespace. The kernel lets go of it when the process ends, however it does.
type Lock struct {
	f      *os.File
	common *Lock // see LockWith; nil without it
}

// Lock takes the lock of the network namespace, or returns ErrLocked with who holds it.
func (d *StateDir) Lock(cookie uint64) (*Lock, error) {
	name := filepath.Join("lock", strconv.FormatUint(cookie, 10))
	f, err := d.open(name, unix.O_RDWR|unix.O_CREAT)
	if errors.Is(err, unix.EROFS) { // a file system that turned read-only keeps nobody from undoing: to lock, it's enough to read
		f, err = d.open(name, unix.O_RDONLY)
	}
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (process %s): `xfrm-plan status` shows how far it is", ErrLocked, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	// For people and the message above only.
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	return &Lock{f: f}, nil
}

// Close lets go.
func (l *Lock) Close() error {
	if l.common != nil {
		return errors.Join(l.common.Close(), l.f.Close())
	}
	return l.f.Close()
}
