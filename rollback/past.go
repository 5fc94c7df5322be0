package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
)

// Past is what a journal says of a run.
type Past struct {
	Header       Header
	Transactions []executor.Transaction
	Outcomes     map[string]executor.Outcome // by group, where one was noted
	Daemon       map[string]ike.Note         // by group: the last thing that an IKE daemon was told
	Ended        bool
	EndedBecause string // empty for a run that came to its own end
	Resumed      []Resumed
	Until        Boottime // a run that is done awaits confirmation until then; 0 if it doesn't
	Torn         bool     // the last frame was incomplete and was dropped

	byName map[string]int // Transactions
	length int64          // of the whole frames
	sum    uint32         // of the last whole frame
}

// Resumed tells of a recover or rollback.
type Resumed struct {
	Towards executor.Outcome // Done or Undone
	At      time.Time
}

// errNeverBegan is what a journal without a whole header tells: the run died before it did anything.
var errNeverBegan = errors.New("it ended before it began: nothing was done")

// ReadJournal reads the journal of a run. With ErrUnusable comes what could be read of it: the Header, if that was
// whole.
func (d *StateDir) ReadJournal(run string) (*Past, error) {
	b, err := d.read(run, journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.without(run)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of run %s: %w", run, err)
	}
	p, err := parse(b)
	if err != nil {
		return p, fmt.Errorf("journal of run %s: %w", run, err)
	}
	return p, nil
}

// without says why a run has no journal.
func (d *StateDir) without(run string) error {
	if f, err := d.open(runPath(run, asideName), unix.O_RDONLY); err == nil {
		f.Close()
		return fmt.Errorf("run %s: %w", run, errSetAside)
	}
	f, err := d.open(runPath(run), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("there is no run %q: `xfrm-plan status` lists those there are", run)
	}
	f.Close()
	return fmt.Errorf("run %s: %w", run, errNeverBegan) // killed between making the directory and the file
}

// read reads one of a run's files.
func (d *StateDir) read(run, name string) ([]byte, error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	f, err := d.open(runPath(run, name), unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func parse(b []byte) (*Past, error) {
	p := &Past{Outcomes: make(map[string]executor.Outcome), byName: make(map[string]int)}
	for first := true; len(b) > 0; first = false {
		payload, rest, sum, err := nextFrame(b, p.sum)
		switch {
		case errors.Is(err, errTorn) && first:
			return p, errNeverBegan
		case errors.Is(err, errTorn):
			p.Torn = true
			return p, nil
		case err != nil:
			return p, err
		}
		if err := p.record(payload, first); err != nil {
			return p, err
		}
		p.length += int64(len(b) - len(rest))
		b, p.sum = rest, sum
	}
	if p.length == 0 {
		return p, errNeverBegan
	}
	return p, nil
}

func (p *Past) record(payload []byte, first bool) error {
	if len(payload) == 0 {
		return errDamaged
	}
	kind, body := payload[0], payload[1:]
	if first != (kind == kindHeader) {
		return fmt.Errorf("%w: a record of kind %q in the header's place or the other way round", errDamaged, kind)
	}
	switch kind {
	case kindHeader:
		if err := unmarshal(body, &p.Header); err != nil {
			return err
		}
		if p.Header.Version != formatVersion {
			return fmt.Errorf("%w: its format is version %d and this program knows version %d: use the program that wrote it",
				ErrUnusable, p.Header.Version, formatVersion)
		}
	case kindIntent:
		t, err := decodeTransaction(body)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		// A group that changed before it was touched was computed again: what was meant at first was never done.
		if at, again := p.byName[t.Name]; again {
			p.Transactions[at] = t
			return nil
		}
		p.byName[t.Name] = len(p.Transactions)
		p.Transactions = append(p.Transactions, t)
	case kindSettled:
		var s settled
		if err := unmarshal(body, &s); err != nil {
			return err
		}
		p.Outcomes[s.Group] = s.Outcome
	case kindResumed:
		var r resumed
		if err := unmarshal(body, &r); err != nil {
			return err
		}
		p.Resumed = append(p.Resumed, Resumed(r))
		p.Ended, p.EndedBecause = false, ""
	case kindAwaiting:
		var a awaiting
		if err := unmarshal(body, &a); err != nil {
			return err
		}
		p.Until = a.Until
	case kindDaemon:
		var n ike.Note
		if err := unmarshal(body, &n); err != nil {
			return err
		}
		if p.Daemon == nil {
			p.Daemon = make(map[string]ike.Note)
		}
		p.Daemon[n.Group] = n
	case kindEnd:
		p.Ended, p.EndedBecause = true, string(body)
	default:
		return fmt.Errorf("%w: unknown record of kind %q", errDamaged, kind)
	}
	return nil
}

func unmarshal(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// Unfinished is the state of a run that broke off: recover has it to finish.
const Unfinished = "unfinished"

// State says in a word where the run stands, seen from the boot that is given.
func (p *Past) State(boot string) string {
	switch {
	case p.Ended && p.EndedBecause != "":
		return p.EndedBecause
	case p.Ended:
		return "ended"
	case p.Header.BootID != boot:
		return "ended by a reboot"
	case p.Awaits():
		return "awaiting confirmation"
	}
	return Unfinished
}

// Done returns how many groups there are that the run moved and that have not been undone, by the journal's own account.
func (p *Past) Done() int { return p.Count(executor.Done) }

// Count returns of how many groups the journal notes the outcome.
func (p *Past) Count(o executor.Outcome) (n int) {
	for _, noted := range p.Outcomes {
		if noted == o {
			n++
		}
	}
	return n
}
