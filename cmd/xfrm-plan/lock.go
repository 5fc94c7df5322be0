package main

import (
	"errors"
	"syscall"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// lockOf takes the lock of a network namespace, on a real host together with the one that keeps out whoever works with
// another state directory. Who can't make that is alone in a user namespace of his own, or has a /run that is full or
// read-only, which is to keep nobody from recovering.
func lockOf(state *rollback.StateDir, ns namespace, cookie uint64) (*rollback.Lock, error) {
	if _, real := ns.(*host.Namespace); !real {
		return state.Lock(cookie)
	}
	var lock *rollback.Lock
	common, err := rollback.OpenStateDir(rollback.CommonDir)
	if err == nil {
		lock, err = state.LockWith(common, cookie)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && !errors.Is(err, rollback.ErrLocked) {
		return state.Lock(cookie)
	}
	return lock, err
}
