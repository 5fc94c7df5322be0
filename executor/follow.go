package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

// daemonAtOnce is how many groups a daemon is asked to set up at a time: it spends most of that time waiting for the peer.
const daemonAtOnce = 8

// ErrNotFollowed means that a group has moved and its daemon could not be brought to follow. Traffic flows, so that nothing is undone for it.
var ErrNotFollowed = errors.New("its SAs are at the new addresses and carry traffic, but the IKE daemon is not")

// followed is what the daemon has of a group at the new addresses.
type followed struct {
	now  []ike.ChildSA
	lost bool // what it had before is not in the kernel any more
}

// moves is the daemon's part in a group, none for a group that isn't its.
func (r *run) moves(gi int) []ike.Move {
	if r.cfg.IKE == nil || gi >= len(r.cfg.IKE.Moves) { // stragglers are nobody's
		return nil
	}
	return r.cfg.IKE.Moves[gi]
}

// has notes what the daemon has of a group at the new addresses.
func (r *run) has(gi int, f *followed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.daemon[gi] = f
}

func (r *run) companion() *companion {
	return &companion{conn: r.cfg.Conn, part: r.cfg.IKE, indexes: &r.indexes}
}

// intendDaemon notes what the daemon will have to do with the groups of a wave: after a crash nobody else could tell.
func (r *run) intendDaemon(w *plan.Wave) error {
	if r.cfg.IKE == nil {
		return nil
	}
	var notes []ike.Note
	for _, gi := range w.Groups {
		for i := range r.moves(gi) {
			r.cfg.IKE.Moves[gi][i].Run = r.cfg.Run
		}
		if len(r.moves(gi)) != 0 {
			notes = append(notes, r.companion().noteOf(r.txs[gi].Name, ike.Intended, r.moves(gi)))
		}
	}
	if err := r.cfg.IKE.Note(notes...); err != nil {
		return fmt.Errorf("%w, so nothing of the wave was touched: %w", ErrJournal, err)
	}
	return nil
}

// follow has the daemon follow the groups of a wave that have moved. Cancelling ctx starts no other: those are undone with the run, or left behind.
func (r *run) follow(ctx context.Context, w *plan.Wave) error {
	if r.cfg.IKE == nil || !r.cfg.IKE.Follow {
		return nil
	}
	var mu sync.Mutex
	var failed []error
	var workers errgroup.Group
	workers.SetLimit(daemonAtOnce)
	for _, gi := range w.Groups {
		if r.outcome(gi) != Done || len(r.moves(gi)) == 0 || r.daemon[gi] != nil {
			continue
		}
		workers.Go(func() error {
			tx := &r.txs[gi]
			r.mu.Lock()
			r.led[gi] = true
			r.mu.Unlock()
			var now []ike.ChildSA
			err := ErrInterrupted
			switch {
			case ctx.Err() == nil:
				now, err = r.companion().follow(tx, r.moves(gi))
			case r.cfg.OnError == plan.OnErrorRollback:
				return nil
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrJournal) {
					r.has(gi, &followed{now: now})
					failed = append(failed, fmt.Errorf("%s: %w", tx.Name, err))
					return nil
				}
				r.notFollowed(gi, err)
				failed = append(failed, fmt.Errorf("%s: %w: %w", tx.Name, ErrNotFollowed, err))
				return nil
			}
			r.has(gi, &followed{now: now})
			r.event(Event{Kind: GroupFollowed, Group: tx.Name, Text: fmt.Sprintf("%v has set it up at the new addresses%s", r.cfg.IKE.Driver, named(now))})
			return nil
		})
	}
	_ = workers.Wait() // the workers' errors are in failed
	return errors.Join(failed...)
}

func named(now []ike.ChildSA) (s string) {
	for i := range now {
		s += ": " + now[i].String()
	}
	return s
}

// notFollowed notes that the kernel is where it should be and the daemon isn't.
func (r *run) notFollowed(gi int, err error) {
	r.cfg.Journal.Settled(r.txs[gi].Name, NotFollowed)
	r.event(Event{Kind: GroupNotFollowed, Group: r.txs[gi].Name, Text: fmt.Sprintf("%v. %s", err, notFollowedHint)})
}

// notFollowedHint is what to do about it.
const notFollowedHint = "Put right what keeps the daemon from it before it re-keys, then `xfrm-plan recover --forward`; `xfrm-plan recover` goes back to the old addresses"

// adopt sees to a group whose daemon was faster: the peer has moved, and has had it set up at the new addresses. What is left of the old one
// goes. It reports whether that was so.
func (r *run) adopt(gi int) bool {
	moves := r.moves(gi)
	if len(moves) == 0 || !r.cfg.IKE.Follow {
		return false
	}
	c := r.companion()
	ctx, cancel := c.limit()
	defer cancel()
	now, err := present(ctx, c.part.Driver, moves)
	if err != nil || len(now) != len(moves) {
		return false
	}
	tx := &r.txs[gi]
	for i := range now {
		if c.completeReqid(&now[i], moves) != nil {
			return false
		}
	}
	if _, err := c.inForce(tx, now); err != nil || c.protected(tx) != nil {
		return false
	}
	r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("the peer was faster: %v has it at the new addresses already%s", c.part.Driver, named(now))})
	if err := c.retire(tx, moves, now); err != nil {
		r.notFollowed(gi, err)
		return true
	}
	r.has(gi, &followed{now: now})
	r.end(gi, Done, settled{}, nil, time.Time{}, 0)
	return true
}

// present lists what a daemon has at the new addresses of a group's Child SAs already, one for each.
func present(ctx context.Context, d ike.Driver, moves []ike.Move) (now []ike.ChildSA, err error) {
	all, err := d.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range moves {
		m := &moves[i]
		at := slices.IndexFunc(all, func(c ike.ChildSA) bool { return m.Succeeds(&c) })
		if at >= 0 {
			now = append(now, all[at])
		}
	}
	return now, nil
}

// followBack has the daemon set a group up at the old addresses again. The kernel can't move it back: its SAs are new ones, which the daemon
// knows at the new addresses.
func (r *run) followBack(gi int) error {
	was := r.daemon[gi]
	moves := r.moves(gi)
	back := make([]ike.Move, len(moves))
	for i := range moves {
		m := moves[i]
		m.Lost = was.lost
		back[i] = m.Back(nowOf(was.now, &m))
		back[i].Lost = false
	}
	reversed := r.txs[gi].Reversed()
	part := *r.cfg.IKE
	part.Note = func(n ...ike.Note) error {
		_ = r.cfg.IKE.Note(n...) // a journal that is dead keeps nobody from undoing what can be undone
		return nil
	}
	now, err := (&companion{conn: r.cfg.Conn, part: &part, indexes: &r.indexes, back: moves}).follow(&reversed, back)
	if err != nil {
		r.notFollowed(gi, fmt.Errorf("the run was to be undone, and the daemon could not be brought back to the old addresses: %w", err))
		return err
	}
	r.has(gi, nil)
	r.end(gi, Undone, settled{notes: []string{fmt.Sprintf("%v has set it up at the old addresses anew%s", r.cfg.IKE.Driver, named(now))}}, nil, time.Time{}, 0)
	return nil
}

// nowOf picks what has come of a move.
func nowOf(now []ike.ChildSA, m *ike.Move) (of []ike.ChildSA) {
	for i := range now {
		if m.Succeeds(&now[i]) {
			of = append(of, now[i])
		}
	}
	return of
}
