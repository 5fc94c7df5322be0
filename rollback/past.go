package rollback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
)

// Summary is what a journal says of a run as a whole. Reading it checks every frame and decodes none of the transactions,
// which are most of a journal.
type Summary struct {
	Header       Header
	Begun        bool // something was meant: the kernel may have been touched
	Ended        bool
	EndedBecause string // empty for a run that came to its own end
	Resumed      []Resumed
	Until        Boottime // a run that is done awaits confirmation until then; 0 if it doesn't
	Torn         bool     // the last frame was incomplete and was dropped

	length int64  // of the whole frames
	sum    uint32 // of the last whole frame
}

// Past is all that a journal says of a run.
type Past struct {
	Summary
	Transactions []executor.Transaction
	Outcomes     map[string]executor.Outcome // by group, where one was noted
	Daemon       map[string]ike.Note         // by group: the last thing that an IKE daemon was told

	byName map[string]int // Transactions
}

// Resumed tells of a recover or rollback.
type Resumed struct {
	Towards executor.Outcome // Done or Undone
	At      time.Time
}

// errNeverBegan is what a journal without a whole header tells: the run died before it did anything.
var errNeverBegan = errors.New("it ended before it began: nothing was done")

// ReadJournal reads the journal of a run. With ErrUnusable and ErrVersion comes what could be read of it: the Header, if
// that was whole.
func (d *StateDir) ReadJournal(run string) (*Past, error) {
	b, err := d.readJournal(run)
	if err != nil {
		return nil, err
	}
	p, err := parse(b)
	return p, d.inJournal(run, err)
}

// Summary reads what the journal says of the run as a whole, in the way of ReadJournal.
func (d *StateDir) Summary(run string) (*Summary, error) {
	b, err := d.readJournal(run)
	if err != nil {
		return nil, err
	}
	s := new(Summary)
	return s, d.inJournal(run, s.frames(b, s.record))
}

func (d *StateDir) readJournal(run string) ([]byte, error) {
	b, err := d.read(run, journalName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, d.without(run)
	case err != nil:
		return nil, fmt.Errorf("read the journal of run %s: %w", run, err)
	}
	return b, nil
}

// inJournal says whose journal an error is about, and what to do about a journal of another format.
func (d *StateDir) inJournal(run string, err error) error {
	switch {
	case errors.Is(err, ErrVersion):
		return fmt.Errorf("journal of run %s: %w: use the program that wrote it; if that run is over, move %s away", run, err, d.RunDir(run))
	case err != nil:
		return fmt.Errorf("journal of run %s: %w", run, err)
	}
	return nil
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
	return d.readFile(runPath(run, name))
}

func (d *StateDir) readFile(name string) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 0, fi.Size()+bytes.MinRead))
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// readHeader reads the header alone. With ErrUnusable it is empty.
func (d *StateDir) readHeader(run string) (Header, error) {
	if err := checkRun(run); err != nil {
		return Header{}, err
	}
	f, err := d.open(runPath(run, journalName), unix.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Header{}, d.without(run)
	case err != nil:
		return Header{}, fmt.Errorf("read the journal of run %s: %w", run, err)
	}
	defer f.Close()
	b, err := firstFrame(f)
	if err != nil {
		return Header{}, d.inJournal(run, err)
	}
	var s Summary
	err = s.frames(b, s.record)
	return s.Header, d.inJournal(run, err)
}

func parse(b []byte) (*Past, error) {
	p := &Past{Outcomes: make(map[string]executor.Outcome), byName: make(map[string]int)}
	return p, p.frames(b, p.record)
}

// frames takes in what follows behind the frames that were taken in before.
func (s *Summary) frames(b []byte, record func(kind byte, body []byte) error) error {
	s.Torn = false
	for len(b) > 0 {
		payload, rest, sum, err := nextFrame(b, s.sum)
		if errors.Is(err, errTorn) {
			s.Torn = true
			break
		}
		if err != nil {
			return err
		}
		if len(payload) == 0 {
			return errDamaged
		}
		if kind := payload[0]; (s.length == 0) != (kind == kindHeader) {
			return fmt.Errorf("%w: a record of kind %q in the header's place or the other way round", errDamaged, kind)
		}
		if err := record(payload[0], payload[1:]); err != nil {
			return err
		}
		s.length += int64(len(b) - len(rest))
		b, s.sum = rest, sum
	}
	if s.length == 0 {
		return errNeverBegan
	}
	return nil
}

// record takes in what concerns the run as a whole.
func (s *Summary) record(kind byte, body []byte) error {
	switch kind {
	case kindHeader:
		return s.Header.decode(body)
	case kindIntent:
		s.Begun = true
	case kindSettled, kindDaemon:
	case kindResumed:
		var r resumed
		if err := unmarshal(body, &r); err != nil {
			return err
		}
		s.Resumed = append(s.Resumed, Resumed(r))
		s.Ended, s.EndedBecause = false, ""
	case kindAwaiting:
		var a awaiting
		if err := unmarshal(body, &a); err != nil {
			return err
		}
		s.Until = a.Until
	case kindEnd:
		s.Ended, s.EndedBecause = true, string(body)
	default:
		return fmt.Errorf("%w: unknown record of kind %q", errDamaged, kind)
	}
	return nil
}

// record takes in what concerns single groups, too.
func (p *Past) record(kind byte, body []byte) error {
	switch kind {
	case kindIntent:
		t, err := decodeTransaction(body)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		p.intend(t)
	case kindSettled:
		var s settled
		if err := unmarshal(body, &s); err != nil {
			return err
		}
		p.settle(s)
	case kindDaemon:
		var n ike.Note
		if err := unmarshal(body, &n); err != nil {
			return err
		}
		if p.Daemon == nil {
			p.Daemon = make(map[string]ike.Note)
		}
		p.Daemon[n.Group] = n
	}
	return p.Summary.record(kind, body)
}

// intend takes in a transaction. A group that changed before it was touched was computed again: what was meant at first
// was never done.
func (p *Past) intend(t executor.Transaction) {
	if at, again := p.byName[t.Name]; again {
		p.Transactions[at] = t
		return
	}
	p.byName[t.Name] = len(p.Transactions)
	p.Transactions = append(p.Transactions, t)
}

// settle takes in an outcome. That a recovery or rollback has found no sign of a group undoes nothing of what the run has
// done to it: it may have been moved on, and come back.
func (p *Past) settle(s settled) {
	if s.Outcome == executor.Untouched && len(p.Resumed) != 0 && p.Outcomes[s.Group] == executor.Done {
		return
	}
	p.Outcomes[s.Group] = s.Outcome
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
func (s *Summary) State(boot string) string {
	switch {
	case s.Ended && s.EndedBecause != "":
		return s.EndedBecause
	case s.Ended:
		return "ended"
	case s.Header.BootID != boot:
		return "ended by a reboot"
	case s.Awaits():
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
