package executor

import (
	"errors"
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// settle brings a transaction that may stand anywhere in between to its end: SAs there, policies as they should be, no
// cover left. It asks the kernel where things are and takes the steps that are missing, so that it can be repeated and
// be interrupted. Undoing is settling the reversed transaction.
//
// What can't be settled stays blocked, and the error says what and why.
func settle(conn *xfrm.Conn, tx *Transaction, x *indexes) error {
	s := &settlement{conn: conn, tx: tx, indexes: x}
	if err := s.read(); err != nil {
		return err
	}
	if s.finished() {
		return nil
	}
	for _, step := range []func() error{s.cover, s.move, s.replace, s.uncover} {
		if err := step(); err != nil {
			return err
		}
	}
	return verify(conn, tx)
}

type settlement struct {
	conn    *xfrm.Conn
	tx      *Transaction
	indexes *indexes

	places []place
	spd    map[xfrm.Key]*xfrm.Policy
}

// read reads SAs and the whole SPD afresh: settling is rare, and a dump is cheaper than asking for many policies.
func (s *settlement) read() error {
	places, err := locate(s.conn, s.tx)
	if err != nil {
		return err
	}
	policies, err := s.conn.Policies()
	if err != nil {
		return fmt.Errorf("read the SPD back: %w", err)
	}
	s.places = places
	s.spd = make(map[xfrm.Key]*xfrm.Policy, len(policies))
	for i := range policies {
		s.spd[policies[i].Key()] = &policies[i]
	}
	return nil
}

// finished reports whether nothing is left to do.
func (s *settlement) finished() bool {
	for _, at := range s.places {
		if at != there {
			return false
		}
	}
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		want := goal(pc)
		if got := s.spd[want.Key()]; got == nil || !got.Same(want) {
			return false
		}
		for _, k := range coverKeys(pc) {
			if s.spd[k] != nil {
				return false
			}
		}
	}
	return true
}

// coverKeys are the Keys that tagged policies of ours over pc can have.
func coverKeys(pc *plan.PolicyChange) []xfrm.Key {
	k := pc.Old.Key()
	k.Sel = k.Sel.Tagged(xfrm.Tag)
	keys := []xfrm.Key{k}
	if pc.New != nil && pc.New.Sel != pc.Old.Sel {
		k := pc.New.Key()
		k.Sel = k.Sel.Tagged(xfrm.Tag)
		keys = append(keys, k)
	}
	return keys
}

// cover puts the outbound blocks back that are missing, so that nothing leaves while SAs and policies are moved.
func (s *settlement) cover() error {
	var reqs []xfrm.Request
	c := coversOf(s.tx, s.indexes)
	for i := range c.blocks {
		if s.spd[c.blocks[i].Key()] == nil {
			reqs = append(reqs, xfrm.NewPolicy(&c.blocks[i]))
		}
	}
	for i := range c.inPlace {
		reqs = append(reqs, xfrm.UpdatePolicy(&c.inPlace[i]))
	}
	return s.do("block", reqs)
}

// move moves the SAs that are still where they came from.
func (s *settlement) move() error {
	failed := s.do("migrate", s.tx.migrations(func(i int) place { return s.places[i] }))
	places, err := locate(s.conn, s.tx)
	if err != nil {
		return errors.Join(failed, err)
	}
	var lost []error
	for i, at := range places {
		id := s.tx.Moves[i].There
		switch at {
		case there:
		case back:
			lost = append(lost, fmt.Errorf("SA %v could not be moved to %v", id.ID, id.Target().DstIP()))
		case aside:
			lost = append(lost, fmt.Errorf("SA %v stepped aside to %v and could not be moved on to %v", id.ID, *s.tx.Moves[i].Hop, id.Target().DstIP()))
		case twice:
			lost = append(lost, fmt.Errorf("SA %v and SA %v both exist", id.ID, id.Target()))
		default:
			lost = append(lost, fmt.Errorf("SA %v is gone, and so is %v: it is lost or was re-keyed", id.ID, id.Target()))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return errors.Join(append(lost, failed)...)
}

// replace puts the policies in that should be there. A policy that somebody else has rewritten meanwhile is theirs.
func (s *settlement) replace() error {
	var reqs []xfrm.Request
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		want := goal(pc)
		got := s.spd[want.Key()]
		inPlace := pc.Old.Dir == xfrm.DirOut && pc.Old.Priority == 0
		switch {
		case inPlace: // cover has just blocked it
			reqs = append(reqs, xfrm.UpdatePolicy(want))
		case got == nil:
			reqs = append(reqs, xfrm.NewPolicy(want))
		case got.Same(want):
		case pc.New != nil && got.Same(&pc.Old):
			reqs = append(reqs, xfrm.UpdatePolicy(want))
		default:
			return fmt.Errorf("policy %v %v was rewritten by somebody else and is left as they want it", got.Dir, got.Sel)
		}
		if pc.New != nil && pc.New.Sel != pc.Old.Sel {
			if stale := s.spd[pc.Old.Key()]; stale != nil {
				reqs = append(reqs, xfrm.DeletePolicy(stale))
			}
		}
	}
	return s.do("switch", reqs)
}

// uncover deletes every tagged policy over the transaction's, by the index that the kernel says it has.
func (s *settlement) uncover() error {
	if err := s.read(); err != nil { // for the indexes of the covers
		return err
	}
	var reqs []xfrm.Request
	for i := range s.tx.Policies {
		for _, k := range coverKeys(&s.tx.Policies[i]) {
			if p := s.spd[k]; p != nil {
				reqs = append(reqs, xfrm.DeletePolicy(p))
			}
		}
	}
	return s.do("unblock", reqs)
}

func (s *settlement) do(what string, reqs []xfrm.Request) error {
	if len(reqs) == 0 {
		return nil
	}
	if err := errors.Join(s.conn.Do(reqs...)...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
