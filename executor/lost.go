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
	switch {
	case err == nil:
		r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("an SA was lost, and %v has set the Child SA up again at the new addresses%s", r.cfg.IKE.Driver, named(now))})
	case now == nil:
		err = fmt.Errorf("it has lost an SA and could not be set up again: %w. %s", err, lostHint)
	default:
		err = fmt.Errorf("it had lost an SA and was set up again: %w", err)
	}
	if now != nil {
		r.has(gi, &followed{now: now, lost: true})
	}
	r.end(gi, Done, got, err, a.blockedAt, time.Since(a.blockedAt))
	return err
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
	return c.setUp(tx, moves)
}

// setUp has the daemon set up what was lost and unblocks it. It returns what the daemon has then, nil if it stays blocked. That the old one could not be
// retired blocks nothing.
func (c *companion) setUp(tx *Transaction, moves []ike.Move) ([]ike.ChildSA, settled, error) {
	now, err := c.establish(tx, moves)
	if err != nil {
		return nil, settled{}, err
	}
	got, err := c.settleAround(tx, now)
	if err != nil {
		return nil, got, err
	}
	return append([]ike.ChildSA{}, now...), got, c.left(tx, c.conclude(tx, moves, now))
}
