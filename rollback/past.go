package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// Past is what a journal says of a run.
type Past struct {
	Header       Header
	Transactions []executor.Transaction
	Outcomes     map[string]executor.Outcome // by group, where one was noted
	Ended        bool
	Torn         bool // the last frame was incomplete and was dropped

	length int64  // of the whole frames
	sum    uint32 // of the last whole frame
}

// ReadJournal reads the journal of a run.
func (d *StateDir) ReadJournal(run string) (*Past, error) {
	b, err := os.ReadFile(filepath.Join(d.RunDir(run), journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no run %q: `xfrm-plan status` lists those there are", run)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	p, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("journal of run %s: %w", run, err)
	}
	return p, nil
}

func parse(b []byte) (*Past, error) {
	p := &Past{Outcomes: make(map[string]executor.Outcome)}
	var sum uint32
	for first := true; len(b) > 0; first = false {
		payload, rest, next, err := nextFrame(b, sum)
		switch {
		case errors.Is(err, errTorn) && !first:
			p.Torn = true
			return p, nil
		case err != nil:
			return nil, err
		}
		if err := p.record(payload, first); err != nil {
			return nil, err
		}
		p.length += int64(len(b) - len(rest))
		b, sum = rest, next
		p.sum = sum
	}
	if p.Header.Version == 0 {
		return nil, errTorn
	}
	return p, nil
}

func (p *Past) record(payload []byte, first bool) error {
	if len(payload) == 0 {
		return errRecord
	}
	kind, body := payload[0], payload[1:]
	if first != (kind == kindHeader) {
		return fmt.Errorf("a record of kind %q in the header's place or the other way round: %w", kind, errDamaged)
	}
	switch kind {
	case kindHeader:
		if err := json.Unmarshal(body, &p.Header); err != nil {
			return err
		}
		if p.Header.Version != formatVersion {
			return fmt.Errorf("its format is version %d and this program knows version %d: use the program that wrote it",
				p.Header.Version, formatVersion)
		}
	case kindIntent:
		t, err := decodeTransaction(body)
		if err != nil {
			return err
		}
		p.Transactions = append(p.Transactions, t)
	case kindSettled:
		var s settled
		if err := json.Unmarshal(body, &s); err != nil {
			return err
		}
		p.Outcomes[s.Group] = s.Outcome
	case kindEnd:
		p.Ended = true
	default:
		return fmt.Errorf("unknown record of kind %q: %w", kind, errDamaged)
	}
	return nil
}

// State says in a word where the run stands.
func (p *Past) State() string {
	if p.Ended {
		return "ended"
	}
	return "unfinished"
}

// Unfinished lists the runs of this boot in the network namespace of the cookie that have touched the kernel, as far as
// can be told, and never came to their end. Runs of another boot or namespace left nothing behind to finish.
func (d *StateDir) Unfinished(cookie uint64) ([]string, error) {
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	var open []string
	for _, run := range runs {
		p, err := d.ReadJournal(run)
		switch {
		case errors.Is(err, errTorn): // not even a header: it ended before it began
		case err != nil:
			return nil, err
		case p.Header.Cookie == cookie && p.Header.BootID == boot && !p.Ended && len(p.Transactions) != 0:
			open = append(open, run)
		}
	}
	return open, nil
}

// Reversed returns the transactions that undo the run, in the order to run them in.
func (p *Past) Reversed() []executor.Transaction {
	all := make([]executor.Transaction, 0, len(p.Transactions))
	for i := range slices.Backward(p.Transactions) {
		all = append(all, p.Transactions[i].Reversed())
	}
	return all
}

// MarkEnded notes in the journal of a run that broke off that it is over: recover has brought it to its end. A torn
// tail is cut off first.
func (d *StateDir) MarkEnded(run string) error {
	path := filepath.Join(d.RunDir(run), journalName)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	p, err := parse(b)
	if err != nil || p.Ended {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	if _, err = f.Seek(p.length, io.SeekStart); err == nil {
		err = f.Truncate(p.length)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cut off the torn end of the journal: %w", err)
	}
	j := &Journal{f: f, sum: p.sum}
	return j.End()
}
