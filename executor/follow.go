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

// ErrNotFollowed means that a group is settled in the kernel and its daemon could not be brought along. Traffic flows, so that nothing is undone for it.
var ErrNotFollowed = errors.New("its IKE daemon was left behind")

// followed says of a group that its daemon was told of the new addresses.
type followed struct {
	now    []ike.ChildSA // what it has there
	lost   bool          // what it had before is not in the kernel any more
	failed error         // what kept one that the peer has moved from being done
}

// moves is the daemon's part in a group, none for a group that isn't its.
func (r *run) moves(gi int) []ike.Move {
	if r.cfg.IKE == nil || gi >= len(r.cfg.IKE.Moves) { // stragglers are nobody's
		return nil
	}
	return r.cfg.IKE.Moves[gi]
}

// has notes that the daemon was told of a group's new addresses, or with nil that it is back.
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
		lead := func() error { return r.lead(ctx, gi) }
		switch {
		case r.daemon[gi] != nil:
			lead = func() error { return r.daemon[gi].failed }
		case r.outcome(gi) != Done:
			continue
		case gi >= len(r.cfg.IKE.Moves):
			lead = func() error { return r.stray(gi) }
		case len(r.moves(gi)) == 0:
			continue
		}
		workers.Go(func() error {
			if err := lead(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
			}
			return nil
		})
	}
	_ = workers.Wait() // the workers' errors are in failed
	return errors.Join(failed...)
}

// lead has the daemon follow a group that has moved.
func (r *run) lead(ctx context.Context, gi int) error {
	tx := &r.txs[gi]
	r.leads(true, gi)
	c := r.companion()
	var now []ike.ChildSA
	err := ErrInterrupted
	switch {
	case ctx.Err() == nil:
		now, err = c.follow(tx, r.moves(gi))
	case r.cfg.OnError == plan.OnErrorRollback:
		return nil
	}
	if c.told {
		has := now
		if len(has) == 0 { // of a driver that can't tell
			has, _ = c.inPolicies(tx) // what can't be read now is not looked for later
		}
		r.has(gi, &followed{now: has})
	}
	switch {
	case err == nil:
		r.event(Event{Kind: GroupFollowed, Group: tx.Name, Text: fmt.Sprintf("%v has set it up at the new addresses%s", r.cfg.IKE.Driver, named(now))})
	case !errors.Is(err, ErrJournal): // else it is undone with the others
		err = c.left(tx, err)
		r.end(gi, Done, settled{}, err, time.Time{}, 0)
	}
	return err
}

// stray ends a straggler: what its daemon has set up at the old addresses when everything was to be at the new ones moves in the kernel alone.
func (r *run) stray(gi int) error {
	c := r.companion()
	ctx, cancel := c.limit()
	defer cancel()
	has, err := c.part.Driver.ChildSAs(ctx)
	tx := &r.txs[gi]
	switch at := slices.IndexFunc(has, func(s ike.ChildSA) bool { return tx.holds(&s) }); {
	case errors.Is(err, ike.ErrAbsent), err == nil && at < 0:
		return nil
	case err != nil:
		err = fmt.Errorf("it came up at the old addresses while the run was at work, and whether %v has it there can't be told: %w", c.part.Driver, err)
	default:
		err = fmt.Errorf("%v set up %v at the old addresses while the run was at work, and has it there: set it up at the new ones by hand, and end the old one", c.part.Driver, &has[at])
	}
	err = c.left(tx, err)
	r.end(gi, Done, settled{}, err, time.Time{}, 0)
	return err
}

func named(now []ike.ChildSA) (s string) {
	for i := range now {
		s += ": " + now[i].String()
	}
	return s
}

// adopt sees to a group whose daemon was faster: the peer has moved, and has had it set up at the new addresses. What is left of the old one
// goes. It reports whether that was so.
func (r *run) adopt(gi int) bool {
	moves := r.moves(gi)
	if len(moves) == 0 || !r.cfg.IKE.Follow {
		return false
	}
	c, tx := r.companion(), &r.txs[gi]
	now, all := c.successors(moves)
	if !all {
		return false
	}
	_, err := c.inForce(tx, now)
	if err == nil {
		err = c.takenOver(tx, moves, now)
	}
	if err != nil && !errors.Is(err, errBare) {
		r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("the peer was faster, and the group was left alone: %v", err)})
		return false
	}
	r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("the peer was faster: %v has it at the new addresses already%s", c.part.Driver, named(now))})
	var got settled
	if err == nil {
		err = c.conclude(tx, moves, now)
	}
	if err == nil {
		got, err = c.settleAround(tx, now)
	} else {
		err = c.left(tx, err)
	}
	r.has(gi, &followed{now: now, failed: err})
	r.end(gi, Done, got, err, time.Time{}, 0)
	return true
}

// followBack undoes a group whose daemon was told to follow.
func (r *run) followBack(gi int) error {
	moves := slices.Clone(r.moves(gi))
	for i := range moves {
		moves[i].Lost = r.daemon[gi].lost
	}
	part := *r.cfg.IKE
	part.Note = func(n ...ike.Note) error {
		_ = r.cfg.IKE.Note(n...) // a journal that is dead keeps nobody from undoing what can be undone
		return nil
	}
	c := r.companion()
	c.part = &part
	reversed := r.txs[gi].Reversed()
	got, err := c.goBack(&reversed, moves, &sad{conn: r.cfg.Conn})
	var span time.Duration
	if !got.began.IsZero() {
		span = time.Since(got.began)
	}
	r.end(gi, Undone, got, err, got.began, span)
	if err != nil {
		return fmt.Errorf("it could not be undone: %w", err)
	}
	r.has(gi, nil)
	return nil
}
