package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	progressName    = "progress.json"
	newProgressName = progressName + newSuffix
)

// Progress is what the process that is at work on a run tells of it now and then, beyond its journal. It is there only
// while that process is.
type Progress struct {
	Process int           `json:"process"`
	At      time.Time     `json:"time"`
	Blocked int           `json:"blockedNow"`
	Longest time.Duration `json:"longestInterruptionNanoseconds"`
	End     time.Time     `json:"expectedEnd,omitzero"` // by estimate; zero if it can't be told yet
}

// WriteProgress replaces what was told of a run before. It need not survive anything, and waits for no disk.
func (d *StateDir) WriteProgress(run string, p Progress) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return d.put(runPath(run), progressName, append(b, '\n'), func(*os.File) error { return nil })
}

// RemoveProgress is for a run that nobody is at work on any more.
func (d *StateDir) RemoveProgress(run string) error {
	dir, err := d.open(runPath(run), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Unlinkat(int(dir.Fd()), progressName, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the progress of run %s: %w", run, err)
	}
	return nil
}

// progress reads what a process has told of a run, or returns nil if it has told nothing.
func (d *StateDir) progress(run string, process int) (*Progress, error) {
	b, err := d.read(run, progressName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the progress of run %s: %w", run, err)
	}
	p := new(Progress)
	if err := json.Unmarshal(b, p); err != nil || p.Process != process { // of one that was killed
		return nil, nil
	}
	return p, nil
}
