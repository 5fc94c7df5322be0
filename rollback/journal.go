package rollback

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

const journalName = "journal"

// Journal is the journal of a run that is at work. It is an executor.Journal, safe for concurrent use. After a failed
// write or sync it is dead: nothing more is written, and Intend says so.
type Journal struct {
	mu   sync.Mutex
	f    *os.File
	sum  uint32
	dead error
	buf  []byte
}

// Create starts the journal of a run. When it returns the journal exists on disk.
func (d *StateDir) Create(h Header) (*Journal, error) {
	h.Version = formatVersion
	dir := d.RunDir(h.Run)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the run's directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the journal: %w", err)
	}
	j := &Journal{f: f}
	payload, err := jsonPayload(kindHeader, h)
	if err == nil {
		err = j.write(true, payload)
	}
	// The file's own name, and its directory's, must survive too.
	if err = errors.Join(err, syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
		f.Close()
		return nil, fmt.Errorf("start the journal: %w", err)
	}
	return j, nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Intend writes what is meant for the transactions and syncs once.
func (j *Journal) Intend(txs []executor.Transaction) error {
	payloads := make([][]byte, len(txs))
	for i := range txs {
		payloads[i] = appendTransaction(nil, &txs[i])
	}
	return j.write(true, payloads...)
}

// Settled notes an outcome without syncing. A failure shows at the next Intend.
func (j *Journal) Settled(name string, o executor.Outcome) {
	if payload, err := jsonPayload(kindSettled, settled{name, o}); err == nil {
		_ = j.write(false, payload)
	}
}

// End marks the run as over and closes the journal.
func (j *Journal) End() error {
	return errors.Join(j.write(true, []byte{kindEnd}), j.f.Close())
}

// Close closes the journal of a run that is not over: recover will find it unfinished.
func (j *Journal) Close() error { return j.f.Close() }

// write appends the payloads as frames with a single write.
func (j *Journal) write(sync bool, payloads ...[]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead != nil {
		return j.dead
	}
	j.buf = j.buf[:0]
	sum := j.sum
	for _, p := range payloads {
		j.buf, sum = appendFrame(j.buf, sum, p)
	}
	_, err := j.f.Write(j.buf)
	if err == nil && sync {
		err = j.f.Sync()
	}
	if err != nil {
		// After a failed sync the kernel may have dropped what it couldn't write and report success the next time.
		j.dead = fmt.Errorf("the journal is dead: %w", err)
		return j.dead
	}
	j.sum = sum
	return nil
}

// BootID identifies the boot of this machine: what was done to the kernel before another boot is gone with it.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
