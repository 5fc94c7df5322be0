package executor

import (
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What is done when the kernel has lost an SA in the middle of a transaction: both tuples were read, and it is at neither. Nothing can bring it back; only
// the daemon that negotiated it can negotiate another one.

// isLost reports whether an SA of a transaction that failed is nowhere and no other has its place.
func isLost(conn *xfrm.Conn, tx *Transaction, x *indexes) bool {
	s := &settlement{conn: conn, tx: tx, indexes: x, sad: &sad{conn: conn}}
	if s.read() != nil {
		return false
	}
	for i, at := range s.places {
		if at == nowhere && !s.rekeyed[i] {
			return true
		}
	}
	return false
}

// reestablish has the daemon set a group up that has lost an SA. Its outbound policies are blocked from before that until everything is read back.
func (r *run) reestablish(gi int, a *attempt, failed error) error {
	tx := a.tx
	r.event(Event{Kind: GroupFailed, Group: tx.Name, Text: failed.Error(), Answers: answersOf(failed)})
	moves := append([]ike.Move(nil), r.moves(gi)...)
	for i := range moves {
		moves[i].Lost = true
	}
	now, got, err := r.setUpLost(tx, moves)
	if err != nil {
		err = fmt.Errorf("it has lost an SA and could not be set up again: %w. %s", err, lostHint)
		r.end(gi, Done, got, err, a.blockedAt, time.Since(a.blockedAt))
		return err
	}
	r.has(gi, &followed{now: now, lost: true})
	r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("an SA was lost, and %v has set the Child SA up again at the new addresses%s", r.cfg.IKE.Driver, named(now))})
	r.end(gi, Done, got, nil, a.blockedAt, time.Since(a.blockedAt))
	return nil
}

// lostHint is what to do about a tunnel that stays blocked.
const lostHint = "Its traffic stays blocked. Put right what kept the daemon from it, or set the Child SA up at the new addresses by hand, then `xfrm-plan recover --forward`"

func (r *run) setUpLost(tx *Transaction, moves []ike.Move) ([]ike.ChildSA, settled, error) {
	c := r.companion()
	if err := c.note(tx.Name, ike.Establishing, moves); err != nil {
		return nil, settled{}, err
	}
	s := &settlement{conn: r.cfg.Conn, tx: tx, indexes: &r.indexes, sad: &sad{conn: r.cfg.Conn}}
	if err := errors.Join(s.read(), s.cover()); err != nil {
		return nil, settled{}, err
	}
	return c.setUp(tx, moves, &r.indexes)
}

// setUp has the daemon set up what was lost and settles what is around it: the SAs and policies that are there now count, and the blocks go.
func (c *companion) setUp(tx *Transaction, moves []ike.Move, x *indexes) ([]ike.ChildSA, settled, error) {
	now, err := c.establish(tx, moves)
	if err != nil {
		return nil, settled{}, err
	}
	s := &settlement{conn: c.conn, tx: tx, indexes: x, sad: &sad{conn: c.conn}, anew: now}
	got, err := s.run()
	if err != nil {
		return nil, got, err
	}
	return now, got, c.retire(tx, moves, now)
}
