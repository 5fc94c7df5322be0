package rollback

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Follower looks at the journal of a run again and again, for whoever waits for its end. What it has read before it
// doesn't read again.
type Follower struct {
	d   *StateDir
	run string

	summary Summary
	inode   uint64
	size    int64
	changed time.Time
}

// Follow follows the journal of a run.
func (d *StateDir) Follow(run string) *Follower { return &Follower{d: d, run: run} }

// Look returns what the journal says now of the run as a whole.
func (f *Follower) Look() (*Summary, error) {
	if err := checkRun(f.run); err != nil {
		return nil, err
	}
	file, err := f.d.open(runPath(f.run, journalName), unix.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.d.without(f.run)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of run %s: %w", f.run, err)
	}
	defer file.Close()
	if err := f.read(file); err != nil {
		return nil, f.d.inJournal(f.run, err)
	}
	s := f.summary
	return &s, nil
}

func (f *Follower) read(file *os.File) error {
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	inode := fi.Sys().(*syscall.Stat_t).Ino
	if inode == f.inode && fi.Size() == f.size && fi.ModTime().Equal(f.changed) {
		return nil
	}
	if inode != f.inode || fi.Size() < f.summary.length { // another file
		f.summary = Summary{}
	}
	if _, err := file.Seek(f.summary.length, io.SeekStart); err != nil {
		return err
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if err := f.summary.frames(b, f.summary.record); err != nil {
		return err
	}
	f.inode, f.size, f.changed = inode, fi.Size(), fi.ModTime()
	return nil
}
