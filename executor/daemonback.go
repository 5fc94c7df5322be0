package executor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// How a group goes back whose daemon was told of the new addresses, amid its run and long after it. What the daemon has set up since the kernel can't
// move back: the daemon sets it up at the old addresses anew. What it has had all the time moves back beside that.

// goBack brings a group to the old addresses, kernel and daemon. The transaction is in that direction, the moves are in the run's.
func (c *companion) goBack(tx *Transaction, moves []ike.Move, all *sad) (settled, error) {
	c.back = moves
	has, err := c.present(moves)
	lost := slices.ContainsFunc(moves, func(m ike.Move) bool { return m.Lost })
	found := slices.ContainsFunc(has, func(of []ike.ChildSA) bool { return len(of) != 0 })
	switch {
	case errors.Is(err, errors.ErrUnsupported): // a program that can only be told, and that finds the SAs moved
		got, err := settleIfTouched(c.conn, tx, c.indexes, all)
		if err != nil && (!lost || isUnread(err)) {
			return got, err
		}
		return c.bringBack(tx, backOf(moves, make([][]ike.ChildSA, len(moves)), err != nil))
	case errors.Is(err, ike.ErrAbsent):
		got, err := settleIfTouched(c.conn, tx, c.indexes, all)
		got.notes = append(got.notes, fmt.Sprintf("%v had been told of the new addresses and can't be asked about them now: see that it is at the old ones", c.part.Driver))
		return got, err
	case err != nil:
		return settled{}, c.leftBehind(tx, err, lost)
	case !found && !lost:
		got, err := settleIfTouched(c.conn, tx, c.indexes, all)
		if got.untouched {
			return settled{}, fmt.Errorf("%w: %v had been told of the new addresses; its Child SA is not there, and the one at the old addresses is gone. If the tunnel was closed down "+
				"since, `xfrm-plan recover --forward` leaves it at that; else bring it up at the old addresses by hand", ErrNotFollowed, c.part.Driver)
		}
		return got, err
	}
	forgotten, err := c.forgotten(moves)
	if err != nil {
		return settled{}, c.leftBehind(tx, err, lost && !found)
	}
	if err := c.moveAlone(tx, forgotten); err != nil {
		return settled{}, err
	}
	back := backOf(moves, has, lost && !found)
	for i := range back {
		for _, o := range moves[i].Old {
			if oneOf(forgotten, &o) {
				back[i].Old = append(back[i].Old, o) // what is left of it in the kernel is nobody's
			}
		}
	}
	return c.bringBack(tx, slices.DeleteFunc(back, func(m ike.Move) bool { return len(m.Old) == 0 })) // what never left needs nobody
}

// backOf lays out the moves back, away from what the daemon has.
func backOf(moves []ike.Move, has [][]ike.ChildSA, lost bool) []ike.Move {
	back := make([]ike.Move, len(moves))
	for i := range moves {
		back[i] = moves[i].Back(has[i])
		back[i].Lost = lost
	}
	return back
}

// bringBack has the daemon set up what goes back, and settles what is around it: what is missing of the policies then is put back.
func (c *companion) bringBack(tx *Transaction, back []ike.Move) (settled, error) {
	now, err := c.establish(tx, back)
	if err != nil {
		return settled{}, c.leftBehind(tx, err, len(back) != 0 && back[0].Lost)
	}
	if err = c.takenOver(tx, back, now); err == nil || errors.Is(err, errBare) { // what is bare is blocked until it is put back
		err = c.retire(tx, back, now)
	}
	if err != nil {
		return settled{}, c.left(tx, err)
	}
	got, err := c.settleAround(tx, now)
	if err != nil {
		return got, err
	}
	got.notes = append(got.notes, fmt.Sprintf("%v is at the old addresses with it again%s", c.part.Driver, named(now)))
	return got, c.left(tx, c.note(tx.Name, ike.Followed, back))
}

// settleAround settles a transaction some of whose SAs the daemon has replaced: the SAs and policies that are there now count, and the blocks go.
func (c *companion) settleAround(tx *Transaction, now []ike.ChildSA) (settled, error) {
	if len(now) == 0 {
		var err error
		if now, err = c.inPolicies(tx); err != nil {
			return settled{}, err
		}
	}
	s := &settlement{conn: c.conn, tx: tx, indexes: c.indexes, sad: &sad{conn: c.conn}, anew: now}
	got, err := s.run()
	if err == nil {
		c.bare = nil
	}
	return got, err
}

// inPolicies has the policies tell what reqid a daemon has chosen that can't be asked.
func (c *companion) inPolicies(tx *Transaction) (now []ike.ChildSA, err error) {
	err = c.policies(tx, func(_, got *xfrm.Policy) {
		for i := 0; got != nil && i < len(got.Templates); i++ {
			now = append(now, ike.ChildSA{Reqid: got.Templates[i].Reqid})
		}
	})
	return now, err
}

// present lists what a daemon has at the new addresses of a group's Child SAs already, by move. Each counts for one of them.
func (c *companion) present(moves []ike.Move) (has [][]ike.ChildSA, err error) {
	ctx, cancel := c.limit()
	defer cancel()
	all, err := c.part.Driver.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	has = make([][]ike.ChildSA, len(moves))
	for j := range all {
		var of []int
		for i := range moves {
			if moves[i].Succeeds(&all[j]) {
				if suits, err := c.marked(&all[j], &moves[i]); err != nil {
					return nil, err
				} else if suits {
					of = append(of, i)
				}
			}
		}
		if len(of) == 0 {
			continue
		}
		at := of[0]
		if k := slices.IndexFunc(of, func(i int) bool { return moves[i].Old[0].Child == all[j].Child }); k >= 0 {
			at = of[k]
		} else if k := slices.IndexFunc(of, func(i int) bool { return len(has[i]) == 0 }); k >= 0 {
			at = of[k]
		}
		has[at] = append(has[at], all[j])
	}
	return has, nil
}

// successors lists what a daemon has at the new addresses already, by move. It is false where it has not got all.
func (c *companion) successors(moves []ike.Move) (now []ike.ChildSA, all bool) {
	has, err := c.present(moves)
	if err != nil {
		return nil, false
	}
	for i := range has {
		if len(has[i]) == 0 || c.completeReqid(&has[i][0], &moves[i]) != nil {
			return nil, false
		}
		now = append(now, has[i][0])
	}
	return now, true
}

// marked reports whether a Child SA has the mark of a move. A daemon doesn't tell; the kernel finds no SA by another mark.
func (c *companion) marked(s *ike.ChildSA, m *ike.Move) (is bool, err error) {
	id, mark := inboundAt(s.Local, s, m)
	if mark == (xfrm.Mark{}) {
		return true, nil
	}
	q := new(query)
	q.ask(xfrm.GetSAStatus(id, mark), func(a *xfrm.Answer) { is = a != nil })
	return is, q.run(c.conn)
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
			if !oneOf(has, &o) {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// leftBehind says what it means that the daemon could not be brought back.
func (c *companion) leftBehind(tx *Transaction, err error, lost bool) error {
	if lost {
		return fmt.Errorf("it has lost an SA and could not be set up at the old addresses either: %w. %s", err, lostHint)
	}
	forward := tx.Reversed() // it is where it was
	return c.left(&forward, fmt.Errorf("it could not be brought back to the old addresses: %w", err))
}

// moveAlone moves the SAs that the daemon still has back, beside those that it has set up since: policies are the daemon's to change.
func (c *companion) moveAlone(tx *Transaction, forgotten []ike.ChildSA) error {
	q := new(query)
	places := make([]place, len(tx.Moves))
	locate(q, tx.Moves, places)
	if err := q.run(c.conn); err != nil {
		return err
	}
	reqs := migrations(tx.Moves, func(i int) place {
		if owns(forgotten, tx.Moves[i].There.ID) {
			return nowhere
		}
		return places[i]
	})
	if len(reqs) == 0 {
		return nil
	}
	return refusals(c.conn.Do(reqs...))
}
