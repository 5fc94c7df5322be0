package main

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// lockOf takes the lock of a network namespace, on a real host together with the one that keeps out whoever works with
// another state directory. Who can't make that, in a user namespace of his own, is alone there.
func lockOf(state *rollback.StateDir, ns namespace, cookie uint64) (*rollback.Lock, error) {
	if _, real := ns.(*host.Namespace); !real {
		return state.Lock(cookie)
	}
	common, err := rollback.OpenStateDir(rollback.CommonDir)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return state.Lock(cookie)
	case err != nil:
		return nil, err
	}
	return state.LockWith(common, cookie)
}
