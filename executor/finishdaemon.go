package executor

import (
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
	return c.goBack(tx, moves, f.sad)
}

// onWithDaemon goes on to the new addresses.
func (f *finish) onWithDaemon(c *companion, tx *Transaction, moves []ike.Move, step ike.Step) (settled, error) {
	lost := slices.ContainsFunc(moves, func(m ike.Move) bool { return m.Lost })
	if c.shares() && step == ike.Retiring && !lost { // what protects the group are the shield and the daemon's policies
		_, err := c.follow(tx, moves)
		return settled{}, c.left(tx, err)
	}
	got, err := settleIfTouched(f.cfg.Conn, tx, &f.indexes, f.sad)
	switch {
	case step == ike.Followed:
		return got, err
	case err != nil && !isUnread(err) && f.cfg.IKE.OnLoss && isLost(f.cfg.Conn, tx, &f.indexes):
		for i := range moves {
			moves[i].Lost = true
		}
		_, got, err = c.setUp(tx, moves)
		return got, err
	case err != nil:
		return got, err
	case lost: // somebody has set it up by hand
		now, all := c.successors(moves)
		if !all {
			got.notes = append(got.notes, "it was set up again by hand; what the daemon believes to have at the old addresses is yours to retire")
			return got, nil
		}
		return got, c.left(tx, c.conclude(tx, moves, now))
	case !f.cfg.IKE.Follow || got.untouched && step == ike.Intended:
		return got, nil
	}
	_, err = c.follow(tx, moves)
	got.untouched = false
	return got, c.left(tx, err)
}
