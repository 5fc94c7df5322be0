package executor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/ike"
)

// What Finish does about a group that an IKE daemon has a part in. The notes of the run say what the daemon may have been told; what it has is read from it.

// daemonOf is the daemon's part in a transaction: its moves in the run's direction, and how far the run came with it.
func (f *finish) daemonOf(i int) ([]ike.Move, ike.Step) {
	if f.cfg.IKE == nil {
		return nil, ""
	}
	return f.cfg.IKE.Moves[i], f.cfg.IKE.Steps[i]
}

// settleWithDaemon settles a group whose daemon was told something, or is to be. The transaction is in the direction of the settlement.
func (f *finish) settleWithDaemon(tx *Transaction, moves []ike.Move, step ike.Step) (settled, error) {
	c := &companion{conn: f.cfg.Conn, part: f.cfg.IKE, indexes: &f.indexes}
	if f.outcome == Done {
		return f.onWithDaemon(c, tx, moves, step)
	}
	if step == ike.Intended {
		return settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	}
	c.back = moves
	return f.backWithDaemon(c, tx, moves)
}

// onWithDaemon goes on to the new addresses.
func (f *finish) onWithDaemon(c *companion, tx *Transaction, moves []ike.Move, step ike.Step) (settled, error) {
	lost := slices.ContainsFunc(moves, func(m ike.Move) bool { return m.Lost })
	if c.shares() && step == ike.Retiring && !lost { // what protects the group are the shield and the daemon's policies
		_, err := c.follow(tx, moves)
		return settled{}, notFollowedUnless(err)
	}
	got, err := settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	switch {
	case step == ike.Followed:
		return got, err
	case err != nil && !isUnread(err) && f.cfg.IKE.OnLoss && isLost(f.cfg.Conn, tx, &f.indexes):
		for i := range moves {
			moves[i].Lost = true
		}
		_, got, err = c.setUp(tx, moves, &f.indexes)
		return got, err
	case err != nil:
		return got, err
	case lost: // somebody has set it up by hand
		ctx, cancel := c.limit()
		defer cancel()
		now, err := present(ctx, c.part.Driver, moves)
		if err != nil || len(now) != len(moves) {
			got.notes = append(got.notes, "it was set up again by hand; what the daemon believes to have at the old addresses is yours to retire")
			return got, nil
		}
		return got, notFollowedUnless(c.retire(tx, moves, now))
	case !f.cfg.IKE.Follow || got.untouched && step == ike.Intended:
		return got, nil
	}
	_, err = c.follow(tx, moves)
	got.untouched = false
	return got, notFollowedUnless(err)
}

func notFollowedUnless(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w. %s", ErrNotFollowed, err, notFollowedHint)
}

// backWithDaemon goes back to the old addresses. Where the daemon has nothing at the new ones the kernel is all there is to it.
func (f *finish) backWithDaemon(c *companion, tx *Transaction, moves []ike.Move) (settled, error) {
	ctx, cancel := c.limit()
	now, err := present(ctx, c.part.Driver, moves)
	cancel()
	lost := slices.ContainsFunc(moves, func(m ike.Move) bool { return m.Lost })
	switch {
	case errors.Is(err, errors.ErrUnsupported): // a program that can only be told
		got, failed := settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
		if failed != nil {
			return got, failed
		}
		back := make([]ike.Move, len(moves))
		for i := range moves {
			back[i] = moves[i].Back(nil)
		}
		_, failed = c.follow(tx, back)
		return got, notFollowedUnless(failed)
	case errors.Is(err, ike.ErrAbsent):
		got, failed := settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
		got.notes = append(got.notes, fmt.Sprintf("%v had been told of the new addresses and can't be asked about them now: see that it is at the old ones", c.part.Driver))
		return got, failed
	case err != nil:
		return settled{}, leftBehind(err, lost)
	case len(now) == 0 && !lost:
		return settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	}
	forgotten, err := c.forgotten(moves)
	if err != nil {
		return settled{}, leftBehind(err, lost && len(now) == 0)
	}
	if len(forgotten) == 0 {
		if err := f.moveAlone(tx); err != nil {
			return settled{}, err
		}
	}
	back := make([]ike.Move, len(moves))
	for i := range moves {
		m := moves[i]
		back[i] = m.Back(nowOf(now, &m))
		back[i].Lost = lost && len(now) == 0
		for _, o := range m.Old {
			if slices.ContainsFunc(forgotten, func(f ike.ChildSA) bool { return f.In == o.In }) {
				back[i].Old = append(back[i].Old, o) // what is left of it in the kernel is nobody's
			}
		}
	}
	anew, err := c.establish(tx, back)
	if err != nil {
		return settled{}, leftBehind(err, lost && len(now) == 0)
	}
	if err := c.retire(tx, back, anew); err != nil {
		return settled{}, notFollowedUnless(err)
	}
	s := &settlement{conn: f.cfg.Conn, tx: tx, indexes: &f.indexes, sad: &sad{conn: f.cfg.Conn}, anew: anew}
	got, err := s.run()
	got.notes = append(got.notes, fmt.Sprintf("%v is at the old addresses with it again%s", c.part.Driver, named(anew)))
	return got, err
}

// forgotten lists what the daemon had before the run and doesn't have any more.
func (c *companion) forgotten(moves []ike.Move) (all []ike.ChildSA, err error) {
	ctx, cancel := c.limit()
	defer cancel()
	has, err := c.part.Driver.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range moves {
		for _, o := range moves[i].Old {
			if !slices.ContainsFunc(has, func(h ike.ChildSA) bool { return h.In == o.In && h.Out == o.Out }) {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// leftBehind says what it means that the daemon could not be brought back.
func leftBehind(err error, lost bool) error {
	if lost {
		return fmt.Errorf("it has lost an SA and could not be set up at the old addresses either: %w. %s", err, lostHint)
	}
	return notFollowedUnless(err)
}

// moveAlone moves the SAs that are still there back, beside those that the daemon has set up since: policies are the daemon's to change.
func (f *finish) moveAlone(tx *Transaction) error {
	q := new(query)
	places := make([]place, len(tx.Moves))
	locate(q, tx.Moves, places)
	if err := q.run(f.cfg.Conn); err != nil {
		return err
	}
	reqs := migrations(tx.Moves, func(i int) place { return places[i] })
	if len(reqs) == 0 {
		return nil
	}
	return refusals(f.cfg.Conn.Do(reqs...))
}
