package host

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// maxReads is how often SAD and SPD are read anew because notifications don't make up for what has changed meanwhile:
// some were lost, or a whole table was flushed. This many times in a row means that the gateway is not at rest.
const maxReads = 20

// maxRounds is how often a read asks for SAs that a notification only names. Each round is about what came during the
// one before it, which took a millisecond or so.
const maxRounds = 100

// listenEvery is how often notifications are taken in during a dump. The socket has room for some thousands, and the
// fastest that the kernel moves SAs is some ten in a millisecond.
const listenEvery = 10 * time.Millisecond

// tableGroups are the multicast groups that tell of every change to SAD and SPD. (Larval SAs come unannounced.)
var tableGroups = []uint32{xfrm.GroupSA, xfrm.GroupPolicy, xfrm.GroupMigrate, xfrm.GroupExpire}

// ErrRestless means that SAD and SPD changed in ways that can't be followed whenever they were read.
var ErrRestless = errors.New("SAs or policies were flushed, or changed faster than the kernel could tell of it")

// errAnew means that a read has to start over.
var errAnew = errors.New("the notifications don't tell what has changed")

// readTables reads SAD and SPD as they are at one moment. The kernel's dumps do not say so when the tables change under
// them: an SA that is moved, or a policy that is rewritten, before the dump has come to it is missing without a sign. So
// the notifications that come meanwhile are folded in, and the result is what the tables were when the last of them came.
// It takes the time of a dump, and a little for each change.
func readTables(sad, spd *xfrm.Conn, watch *xfrm.Monitor) (*plan.Inventory, error) {
	begun := time.Now()
	for range maxReads {
		t, err := readOnce(sad, spd, watch)
		if err == nil {
			return &plan.Inventory{SAs: t.sas, Policies: t.spd()}, nil
		}
		if !errors.Is(err, errAnew) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w, during each of %d attempts to read them in %v: `ip xfrm monitor` shows what changes them; try again when that is through",
		ErrRestless, maxReads, time.Since(begun).Round(100*time.Millisecond))
}

func readOnce(sad, spd *xfrm.Conn, watch *xfrm.Monitor) (*tables, error) {
	l := &listener{watch: watch}
	if err := l.hear(); err != nil {
		return nil, err
	}
	l.events, l.lost = nil, false // the dump begins after that
	t, err := l.dump(sad, spd)
	if err != nil {
		return nil, err
	}
	for range maxRounds {
		// Changes and their notifications are made under the lock that every request takes: behind the answer to one all
		// are told of that a dump, or an answer, has seen a part of.
		if _, err := sad.SPDInfo(); err != nil {
			return nil, fmt.Errorf("read the SPD: %w", err)
		}
		if err := l.hear(); err != nil {
			return nil, err
		}
		if err := l.foldInto(t); err != nil {
			return nil, err
		}
		if len(t.asks) == 0 {
			return t, nil
		}
		if err := t.ask(sad); err != nil {
			return nil, err
		}
	}
	return nil, errAnew
}

// listener keeps the notifications that come while somebody is busy.
type listener struct {
	watch  *xfrm.Monitor
	events []xfrm.Event
	lost   bool // some of them
}

// hear takes in the notifications that have come.
func (l *listener) hear() error {
	for {
		e, err := l.watch.Next(time.Now())
		switch {
		case err == nil:
			l.events = append(l.events, e)
		case errors.Is(err, xfrm.ErrOverrun):
			l.lost = true
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			return fmt.Errorf("watch SAD and SPD: %w", err)
		}
	}
}

// dump reads the tables and listens meanwhile.
func (l *listener) dump(sad, spd *xfrm.Conn) (*tables, error) {
	t, done := new(tables), make(chan error, 1)
	go func() {
		var err error
		t.sas, t.policies, err = xfrm.Tables(sad, spd)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return t, err
		case <-time.After(listenEvery):
			if err := l.hear(); err != nil {
				return nil, errors.Join(err, <-done)
			}
		}
	}
}

// foldInto folds what was heard into the tables.
func (l *listener) foldInto(t *tables) error {
	if l.lost {
		return errAnew
	}
	for i := range l.events {
		if err := t.fold(&l.events[i]); err != nil {
			return err
		}
	}
	l.events = nil
	return nil
}
