package rollback

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// Standing is where a run stands now, by its journal and by who is at work.
type Standing struct {
	State    string        // in a word or three
	Process  int           // that is at work on it; 0 if none is
	WordLeft time.Duration // for how long it awaits its confirmation yet; 0 if it doesn't

	Groups int // of the run
	Wave   int // the one that was begun last, counted from 1; 0 if the journal doesn't say

	Progress *Progress // what that process tells; nil if it has told nothing yet
}

// Standing looks up where a run stands. It takes no lock, and keeps nobody from taking one.
func (d *StateDir) Standing(p *Past) (Standing, error) {
	boot, err := d.boot()
	if err != nil {
		return Standing{}, err
	}
	s := Standing{State: p.State(boot), Groups: p.Header.groups(), Wave: p.wave()}
	if s.Groups < len(p.Transactions) { // the journal of a program that did not write it down
		s.Groups = len(p.Transactions)
	}
	if p.Ended || p.Header.BootID != boot {
		return s, nil
	}
	if p.Awaits() {
		left, err := p.Until.Left()
		if err != nil || left > 0 {
			s.WordLeft = left
			return s, err
		}
		s.State = "not confirmed in time, to be undone"
	}
	holder, err := d.holder(p.Header.Cookie)
	if err != nil || holder == 0 {
		return s, err
	}
	switch n := len(p.Resumed); {
	case n != 0 && p.Resumed[n-1].Towards == executor.Done:
		s.State, s.Process = "being brought on", holder
	case n != 0:
		s.State, s.Process = "being undone", holder
	case holder == p.Header.Process:
		s.State, s.Process = "at work", holder
	default:
		return s, nil
	}
	s.Progress, err = d.progress(p.Header.Run, s.Process)
	return s, err
}

// wave is the wave that was begun last: its intents are written as it begins.
func (p *Past) wave() int {
	before := 0
	for i, w := range p.Header.Waves {
		if before += w.Groups; len(p.Transactions) <= before {
			if len(p.Transactions) == 0 {
				return 0
			}
			return i + 1
		}
	}
	return 0
}

func (h *Header) groups() (n int) {
	for _, w := range h.Waves {
		n += w.Groups
	}
	return n
}

// holder returns the process that holds the lock of a network namespace, or 0. Taking the lock to find out would turn
// away a run that begins in this moment, so the kernel's list of locks is read.
func (d *StateDir) holder(cookie uint64) (int, error) {
	f, err := d.open(filepath.Join("lock", strconv.FormatUint(cookie, 10)), unix.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	process, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil { // somebody has it open and has not written yet who he is
		return 0, nil
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, err
	}
	defer locks.Close()
	if held, err := heldBy(locks, process, st.Ino); err != nil || !held {
		return 0, err
	}
	return process, nil
}

// heldBy looks in the kernel's list of locks for a flock of the process on the inode. The device is not compared: on some
// file systems the kernel names another one there than to stat.
func heldBy(list io.Reader, process int, inode uint64) (bool, error) {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		// 1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF; those who wait have -> after the number
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "FLOCK" || f[4] != strconv.Itoa(process) {
			continue
		}
		if i := strings.LastIndexByte(f[5], ':'); f[5][i+1:] == strconv.FormatUint(inode, 10) {
			return true, nil
		}
	}
	return false, lines.Err()
}
