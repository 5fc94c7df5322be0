package guest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

const (
	systemDisk = "/dev/vda"
	addedDisk  = "/dev/vdb" // of a job that has one
	sysroot    = "/sysroot"
	// oldRoot is where the initramfs stays reachable while the job's files are copied out of it.
	oldRoot = "/mnt"
)

// enterSystem makes the Debian system on the disk the root of everything and lays the job's files over it.
func enterSystem() error {
	if err := waitFor(systemDisk); err != nil {
		return err
	}
	// The disk is a throw-away snapshot: access times would only cost writes.
	if err := mountAll([]mount{{systemDisk, sysroot, "ext4", unix.MS_NOATIME, ""}}); err != nil {
		return err
	}
	for _, m := range []string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(m, sysroot+m, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", m, err)
		}
	}
	err := mountAll([]mount{
		{"tmpfs", sysroot + "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", sysroot + "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"/", sysroot + oldRoot, "", unix.MS_BIND, ""},
	})
	if err != nil {
		return err
	}
	// What switch_root(8) does: a chroot alone would leave "/" of the mount namespace behind, and unshare(2) would find it.
	if err := unix.Chdir(sysroot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the system to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	// Copied only now, so that absolute links of the system lead where they should.
	if err := copyTree(oldRoot+wire.JobRoot, "/"); err != nil {
		return fmt.Errorf("copy the job's files: %w", err)
	}
	return unix.Unmount(oldRoot, unix.MNT_DETACH)
}

// mountDisk mounts the job's own disk. Its ext4 replays its journal first, as after any power cut.
func mountDisk(target string) error {
	if err := waitFor(addedDisk); err != nil {
		return err
	}
	return mountAll([]mount{{addedDisk, target, "ext4", unix.MS_NOSUID | unix.MS_NODEV, ""}})
}

// waitFor waits for a device that its driver is still probing.
func waitFor(dev string) error {
	for range 500 {
		if _, err := os.Stat(dev); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s did not appear in 5 s", dev)
}

// copyTree copies src's content into dst, keeping modes and links. Existing directories keep theirs.
func copyTree(src, dst string) error {
	err := filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		switch d.Type() {
		case fs.ModeDir:
			return os.MkdirAll(to, 0o755)
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			os.Remove(to)
			return os.Symlink(target, to)
		}
		return copyFile(p, to)
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Lstat(src); os.IsNotExist(e) {
			return nil
		}
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fi.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
