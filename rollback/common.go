package rollback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// CommonDir is where runs with different state directories meet. It is gone with the boot, as are the kernel's SAs and
// the cookies of network namespaces.
const CommonDir = "/run/xfrm-plan"

// ErrOtherDir means that another state directory has to be given.
var ErrOtherDir = errors.New("a run of another state directory did not come to its end in this network namespace")

// LockWith takes the lock of the network namespace in this state directory, and in the common one. It refuses, with
// ErrOtherDir, if the last one who did so had another state directory in which there is a run to finish: blocks that
// are left of it would look like nobody's.
func (d *StateDir) LockWith(common *StateDir, cookie uint64) (*Lock, error) {
	l, err := d.Lock(cookie)
	if err != nil {
		return nil, err
	}
	if l.common, err = common.Lock(cookie); err == nil {
		err = d.succeed(common, cookie)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// succeed notes that this state directory is the one in use in the network namespace, if no other one is.
func (d *StateDir) succeed(common *StateDir, cookie uint64) error {
	self, err := filepath.Abs(d.path)
	if err != nil {
		return err
	}
	name := strconv.FormatUint(cookie, 10) + ".state-dir"
	before, err := common.readFile(filepath.Join("lock", name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case string(before) == self:
		return nil
	default:
		if err := unfinishedIn(string(before), cookie); err != nil {
			return err
		}
	}
	return common.replaceFile("lock", name, []byte(self))
}

// unfinishedIn looks into another state directory, which is not made if it is gone.
func unfinishedIn(path string, cookie uint64) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d, err := OpenStateDir(path)
	if err != nil {
		return err
	}
	runs, err := d.Unfinished(cookie)
	if err != nil || len(runs) == 0 {
		return err
	}
	return fmt.Errorf("%w: run %s in %s: give --state-dir %s", ErrOtherDir, runs[0], path, path)
}
