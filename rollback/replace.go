package rollback

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// newSuffix is that of a file before it takes the place of an older one.
const newSuffix = ".new"

// replaceFile writes a file in a directory below the state directory that is either whole or as before after a power
// cut. The lock of a network namespace, or that of the plan, keeps others out.
func (d *StateDir) replaceFile(dirPath, name string, b []byte) error {
	return d.put(dirPath, name, b, (*os.File).Sync)
}

// put writes a file that whoever reads it finds whole or as before, and syncs it and its directory.
func (d *StateDir) put(dirPath, name string, b []byte, sync func(*os.File) error) error {
	dir, err := d.open(dirPath, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	fd, next := int(dir.Fd()), name+newSuffix
	// What an earlier one left, or a symlink that somebody put there, must not be written through.
	if err := unix.Unlinkat(fd, next, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	nfd, err := unix.Openat(fd, next, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(nfd), next)
	_, err = f.Write(b)
	if err = errors.Join(err, sync(f), f.Close()); err != nil {
		return err
	}
	if err := unix.Renameat(fd, next, fd, name); err != nil {
		return err
	}
	return sync(dir)
}
