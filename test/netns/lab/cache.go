// Package lab runs commands on a Linux kernel that has XFRM_MSG_MIGRATE_STATE, in QEMU, on machines whose own kernel has not.
package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The files of an image folder.
const (
	kernelFile = "kernel"
	smallFile  = "small.cpio"  // modules of the small machine
	bootFile   = "system.cpio" // modules that the system machine needs to reach its disk
	systemFile = "system.img"
)

// A Cache is the folder that keeps prepared images.
type Cache struct{ dir string }

// DefaultCache is $XFRM_PLAN_LAB_CACHE, or the user's cache folder, or ~/.cache; below it xfrm-plan/lab.
func DefaultCache() (Cache, error) {
	base := os.Getenv("XFRM_PLAN_LAB_CACHE")
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return Cache{}, fmt.Errorf("%w: set XFRM_PLAN_LAB_CACHE to a folder for the lab's images", err)
		}
	}
	base, err := filepath.Abs(base)
	return Cache{filepath.Join(base, "xfrm-plan", "lab")}, err
}

// Images are one kernel and the file systems that go with it.
type Images struct {
	Release string // of the kernel, as uname -r prints it
	dir     string
}

func (im Images) file(name string) string { return filepath.Join(im.dir, name) }

// ErrNotPrepared is returned by [Cache.Find] when there are no images for this version of the lab.
var ErrNotPrepared = errors.New("the lab is not prepared: run 'lab prepare' once (make lab)")

// pointer is a file with the name of the folder to use, so that finding it needs no network.
func (c Cache) pointer() string { return filepath.Join(c.dir, "current-"+current.hash()) }

// Find returns the prepared images.
func (c Cache) Find() (Images, error) {
	b, err := os.ReadFile(c.pointer())
	if errors.Is(err, fs.ErrNotExist) {
		return Images{}, ErrNotPrepared
	}
	if err != nil {
		return Images{}, err
	}
	name := strings.TrimSpace(string(b))
	im := Images{Release: strings.TrimSuffix(name, "-"+current.hash()), dir: filepath.Join(c.dir, name)}
	for _, f := range []string{kernelFile, smallFile, bootFile, systemFile} {
		if _, err := os.Stat(im.file(f)); err != nil {
			return Images{}, fmt.Errorf("%w (%w)", ErrNotPrepared, err)
		}
	}
	return im, nil
}

// lock takes the cache's lock, exclusively to change it or shared while QEMU opens its files. The kernel frees it with the process.
func (c Cache) lock(exclusive bool) (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// publish makes the folder built at tmp the one that Find returns. The caller holds the exclusive lock.
func (c Cache) publish(tmp, release string) (Images, error) {
	name := release + "-" + current.hash()
	dir := filepath.Join(c.dir, name)
	old := tmp + ".old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Images{}, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return Images{}, err
	}
	next := c.pointer() + ".new"
	if err := os.WriteFile(next, []byte(name+"\n"), 0o644); err != nil {
		return Images{}, err
	}
	if err := os.Rename(next, c.pointer()); err != nil {
		return Images{}, err
	}
	// A machine that runs from the old images has them open.
	return Images{Release: release, dir: dir}, os.RemoveAll(old)
}
