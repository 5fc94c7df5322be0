package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/guest"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/cpio"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab/wire"
)

// writeInitrd returns a file with the cached base and, after it, this program as the guest's init, the job and what it ships.
// The file is in memory and has no name, so that nothing of it outlives the lab, however the lab ends.
func (im Images) writeInitrd(job wire.Job, ship []Ship) (*os.File, error) {
	fd, err := unix.MemfdCreate("initrd", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initrd")
	if err := im.fillInitrd(f, job, ship); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (im Images) fillInitrd(f *os.File, job wire.Job, ship []Ship) error {
	base, root := smallFile, "/"
	if job.System {
		base, root = bootFile, wire.JobRoot
	}
	in, err := os.Open(im.file(base))
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := io.Copy(f, in); err != nil {
		return err
	}
	b, err := json.Marshal(job)
	if err != nil {
		return err
	}
	w := cpio.NewWriter(f)
	w.File(guest.Path, "/proc/self/exe")
	w.Bytes(wire.JobFile, 0o644, b)
	for _, s := range ship {
		w.Tree(path.Join(root, s.Guest), s.Host)
	}
	err = w.Close()
	if errors.Is(err, unix.ENOSPC) {
		err = fmt.Errorf("%w: the files to ship do not fit into memory", err)
	}
	return err
}
