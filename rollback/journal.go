package rollback

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
)

const journalName = "journal"

// File is what a journal is written to.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Journal is the journal of a run that is at work. It is an executor.Journal, safe for concurrent use. After a failed
// write or sync it is dead: nothing more is written, and Intend says so.
type Journal struct {
	mu   sync.Mutex // guards everything below
	f    File
	sum  uint32
	dead error
	buf  []byte
}

// Create starts the journal of a run. When it returns the journal exists on disk. Runs that are long over are removed
// (see Prune).
func (d *StateDir) Create(h Header) (*Journal, error) {
	h.Version = formatVersion
	if err := checkRun(h.Run); err != nil {
		return nil, err
	}
	_ = d.Prune(h.Started) // that old runs can't be removed is no reason not to start this one
	if err := d.mkdir(runPath(h.Run)); err != nil {
		return nil, fmt.Errorf("create the run's directory: %w", err)
	}
	f, err := d.open(runPath(h.Run, journalName), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return nil, fmt.Errorf("create the journal: %w", err)
	}
	j := &Journal{f: d.wrap(f)}
	payload, err := jsonPayload(kindHeader, h)
	if err == nil {
		err = j.append(true, payload)
	}
	// The file's own name, and its directory's, must survive too.
	if err = errors.Join(err, d.syncDir(runPath(h.Run)), d.syncDir("runs")); err != nil {
		f.Close()
		return nil, fmt.Errorf("start the journal: %w", err)
	}
	return j, nil
}

// Resume opens the journal of a run that is to be undone, or to be brought to its end, and notes that this begins: from
// here on the run is unfinished, if it was over before. A torn end is cut off first. With the error comes a Journal
// all the same, a dead one, so that a run that is unfinished anyway can be settled on a full disk.
func (d *StateDir) Resume(run string, towards executor.Outcome, now time.Time) (*Journal, error) {
	j, err := d.reopen(run)
	if err == nil {
		var payload []byte
		if payload, err = jsonPayload(kindResumed, resumed{towards, now}); err == nil {
			err = j.append(true, payload)
		}
	}
	if err != nil {
		j.dead = errors.Join(j.dead, err)
		return j, fmt.Errorf("write the journal of run %s: %w", run, err)
	}
	return j, nil
}

// reopen opens a run's journal to be written behind its last whole frame. It returns a Journal in any case.
func (d *StateDir) reopen(run string) (*Journal, error) {
	p, err := d.Summary(run)
	if err != nil {
		return &Journal{f: noFile{}}, err
	}
	f, err := d.open(runPath(run, journalName), unix.O_WRONLY)
	if err != nil {
		return &Journal{f: noFile{}}, err
	}
	j := &Journal{f: d.wrap(f), sum: p.sum}
	if err = f.Truncate(p.length); err == nil {
		_, err = f.Seek(p.length, io.SeekStart)
	}
	return j, err
}

// noFile stands for a journal that could not be opened.
type noFile struct{}

func (noFile) Write([]byte) (int, error) { return 0, os.ErrClosed }
func (noFile) Sync() error               { return os.ErrClosed }
func (noFile) Close() error              { return nil }

// Intend writes what is meant for the transactions and syncs once.
func (j *Journal) Intend(txs []executor.Transaction) error {
	return j.write(true, len(txs), func(b []byte, i int) []byte { return appendTransaction(b, &txs[i]) })
}

// Settled notes an outcome without syncing. A failure shows at the next Intend or at End.
func (j *Journal) Settled(name string, o executor.Outcome) {
	if payload, err := jsonPayload(kindSettled, settled{name, o}); err == nil {
		_ = j.append(false, payload)
	}
}

// Daemon writes what an IKE daemon is about to be told and syncs once.
func (j *Journal) Daemon(notes ...ike.Note) error {
	payloads := make([][]byte, len(notes))
	for i := range notes {
		var err error
		if payloads[i], err = jsonPayload(kindDaemon, notes[i]); err != nil {
			return err
		}
	}
	if len(payloads) == 0 {
		return nil
	}
	return j.write(true, len(payloads), func(b []byte, i int) []byte { return append(b, payloads[i]...) })
}

// End marks the run as over and closes the journal.
func (j *Journal) End() error { return j.end("") }

// end says why, where it isn't because the run came to its end.
func (j *Journal) end(why string) error {
	return errors.Join(j.append(true, append([]byte{kindEnd}, why...)), j.f.Close())
}

// Close closes the journal of a run that is not over: recover will find it unfinished.
func (j *Journal) Close() error { return j.f.Close() }

func (j *Journal) append(sync bool, payload []byte) error {
	return j.write(sync, 1, func(b []byte, _ int) []byte { return append(b, payload...) })
}

// writeAtOnce bounds what is collected before it is written: the intents of 20,000 tunnels would take 70 MiB.
const writeAtOnce = 1 << 20

// write appends n frames; payload appends the payload of the ith.
func (j *Journal) write(sync bool, n int, payload func(b []byte, i int) []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead != nil {
		return j.dead
	}
	j.buf = j.buf[:0]
	sum := j.sum
	for i := range n {
		at := len(j.buf)
		j.buf = payload(append(j.buf, make([]byte, frameHeader)...), i)
		if len(j.buf)-at-frameHeader > maxPayload {
			return errTooLarge // what was written before it is whole frames: the journal lives on
		}
		sum = sealFrame(j.buf[at:], sum)
		if len(j.buf) < writeAtOnce && i != n-1 {
			continue
		}
		if err := j.flush(sync && i == n-1); err != nil {
			return err
		}
		j.sum = sum
	}
	return nil
}

// flush writes what was collected.
func (j *Journal) flush(sync bool) error {
	n, err := j.f.Write(j.buf)
	if err == nil && n != len(j.buf) {
		err = io.ErrShortWrite
	}
	if err == nil && sync {
		err = j.f.Sync()
	}
	if err != nil {
		// After a failed sync the kernel may have dropped what it couldn't write and report success the next time.
		j.dead = fmt.Errorf("the journal is dead: %w", err)
		return j.dead
	}
	j.buf = j.buf[:0]
	return nil
}

// BootID identifies the boot of this machine: what was done to the kernel before another boot is gone with it.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
