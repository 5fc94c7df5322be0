package executor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rounds is how often a settlement starts over when a step fails. What a lost answer or a moment's lack of memory left
// undone is done in the second round; what three rounds can't do needs somebody.
const rounds = 3

// settlement brings a transaction that may stand anywhere in between to its end: SAs there, policies as they should be,
// no cover left. It asks the kernel where things are and takes the steps that are missing, so that it can be repeated
// and be interrupted. Undoing is settling the reversed transaction.
//
// Everything is asked for by what identifies it: no step depends on the size of SAD or SPD.
type settlement struct {
	conn    *xfrm.Conn
	tx      *Transaction
	indexes *indexes
	sad     *sad
	later   bool          // than the run: re-keys may be under way
	anew    []ike.ChildSA // what the daemon has set up in the place of SAs that are nowhere; nil if it was not asked

	began   time.Time
	moves   []Move // the transaction's, and those of SAs that took their place
	rekeyed []bool // by move: it is gone, and another one has its place
	places  []place
	spd     map[xfrm.Key]*xfrm.Policy
}

// settled is what a settlement came to.
type settled struct {
	untouched bool      // nothing of the transaction is there, and nothing was done
	began     time.Time // when the first step was taken: nothing leaves until the last one; zero if none was needed

	kept  []string // policies that others rewrote, and that are theirs now
	notes []string // what else is not as the transaction says, for a good reason
}

// settle settles a transaction that has been begun.
func settle(conn *xfrm.Conn, tx *Transaction, x *indexes) (settled, error) {
	s := &settlement{conn: conn, tx: tx, indexes: x, sad: &sad{conn: conn}}
	return s.run()
}

// settleIfTouched settles a transaction that may not have been begun. One of which the kernel holds no sign was not, or
// its tunnel was closed down since: blocking what its owner no longer protects would be wrong. An SA whose policies are gone is not closed down.
func settleIfTouched(conn *xfrm.Conn, tx *Transaction, x *indexes, all *sad) (settled, error) {
	s := &settlement{conn: conn, tx: tx, indexes: x, sad: all, later: true}
	if err := s.read(); err != nil {
		return settled{}, err
	}
	if !s.touched() && !s.bare() && !s.finished() {
		r := s.result()
		r.untouched = true
		return r, nil
	}
	return s.run()
}

// run takes the missing steps. What can't be settled stays blocked, and the error says what and why; it is errUnread if even that
// can't be told.
func (s *settlement) run() (settled, error) {
	var failed error
	for range rounds {
		if err := s.read(); err != nil {
			return settled{began: s.began}, errors.Join(failed, err)
		}
		if s.finished() {
			return s.result(), nil
		}
		if s.began.IsZero() {
			s.began = time.Now()
		}
		if failed = s.steps(); errors.Is(failed, errNotMoved) {
			failed = nil
		}
	}
	if err := s.read(); err != nil {
		return settled{began: s.began}, errors.Join(failed, err)
	}
	if s.finished() {
		return s.result(), nil
	}
	return s.result(), errors.Join(s.shortfall(), failed)
}

// steps takes what steps are missing, each only if the one before succeeded: nothing moves unless it is blocked, nothing
// is unblocked unless it is whole.
func (s *settlement) steps() error {
	if s.moved() != nil || s.policies() != nil || s.unordered() {
		for _, step := range []func() error{s.cover, s.move, s.replace} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return s.uncover()
}

// read asks for the group's SAs, policies and covers in one datagram.
func (s *settlement) read() error {
	if s.moves == nil {
		s.moves = append([]Move(nil), s.tx.Moves...)
	}
	for {
		q := new(query)
		s.places = make([]place, len(s.moves))
		locate(q, s.moves, s.places)
		s.spd = make(map[xfrm.Key]*xfrm.Policy)
		ask := func(p *xfrm.Policy) {
			q.ask(xfrm.GetPolicyByKey(p), func(a *xfrm.Answer) {
				if a != nil {
					s.spd[a.Policy.Key()] = a.Policy
				}
			})
		}
		for i := range s.tx.Policies {
			for _, p := range versions(&s.tx.Policies[i]) {
				ask(p)
				ask(coverKey(p))
			}
		}
		if err := q.run(s.conn); err != nil {
			return err
		}
		more, err := s.succeed()
		if err != nil {
			return fmt.Errorf("%w: %w", errUnread, err)
		}
		if !more {
			return nil
		}
	}
}

// versions lists the policies of a change that differ in their Key: one as a rule.
func versions(pc *plan.PolicyChange) []*xfrm.Policy {
	if reselected(pc) {
		return []*xfrm.Policy{pc.Old, pc.New}
	}
	return []*xfrm.Policy{pc.Old}
}

// cover returns the tagged policy that was found over p.
func (s *settlement) coverOver(p *xfrm.Policy) *xfrm.Policy {
	k := p.Key()
	k.Sel = k.Sel.Tagged(xfrm.Tag)
	return s.spd[k]
}

// touched reports whether the kernel holds any sign of the transaction.
func (s *settlement) touched() bool {
	for i, at := range s.places {
		if at != nowhere && (at != there || !s.tx.back) && !s.rekeyed[i] { // only the run brings an SA to its new address
			return true
		}
	}
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		for _, p := range versions(pc) {
			if s.coverOver(p) != nil {
				return true
			}
			if got := s.spd[p.Key()]; got != nil && blockedInPlace(got) {
				return true
			}
		}
		if pc.New == nil {
			continue
		}
		if got := s.spd[pc.Old.Key()]; got != nil && sameButSPIs(got, pc.Old) {
			return true
		}
	}
	return false
}

// bare reports whether SAs are there and a policy that protected their traffic is not: whoever has deleted it, nothing else keeps that from
// leaving in the clear.
func (s *settlement) bare() bool {
	if !slices.Contains(s.places, there) && !slices.Contains(s.rekeyed, true) {
		return false
	}
	for i := range s.tx.Policies {
		if want := goal(&s.tx.Policies[i]); protects(want) && s.spd[want.Key()] == nil {
			return true
		}
	}
	return false
}

// moved says which SAs are not where they should be.
func (s *settlement) moved() error {
	var lost []error
	for i, at := range s.places {
		id := s.moves[i].There
		switch {
		case at == there || s.rekeyed[i]:
		case at == back:
			lost = append(lost, fmt.Errorf("SA %v could not be moved to %v", id.ID, id.Target().DstIP()))
		case at == aside:
			lost = append(lost, fmt.Errorf("SA %v stepped aside to %v and could not be moved on to %v", id.ID, *s.moves[i].Hop, id.Target().DstIP()))
		case at == twice:
			lost = append(lost, fmt.Errorf("SA %v and SA %v both exist", id.ID, id.Target()))
		default:
			lost = append(lost, fmt.Errorf("SA %v is gone, and so is %v", id.ID, id.Target()))
		}
	}
	return errors.Join(lost...)
}

// finished reports whether nothing is left to do.
func (s *settlement) finished() bool {
	return s.moved() == nil && s.policies() == nil && len(s.covering()) == 0
}

// shortfall says what is not settled, and what could not even be blocked.
func (s *settlement) shortfall() error {
	all := []error{s.moved()}
	if all[0] == nil {
		all[0] = s.policies()
	}
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		want := goal(pc)
		if got := s.spd[want.Key()]; protects(want) && s.coverOver(want) == nil && !protects(got) {
			all = append(all, fmt.Errorf("policy %v %v is not there and could not be put back: NOTHING PROTECTS ITS TRAFFIC", want.Dir, want.Sel))
		}
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	return errors.New("block policies could not be removed")
}

// result lists what is not as the transaction says and yet nothing to do about.
func (s *settlement) result() (r settled) {
	r.began = s.began
	for i, at := range s.places {
		id := s.moves[i].There
		switch {
		case i >= len(s.tx.Moves):
			r.notes = append(r.notes, fmt.Sprintf("SA %v came with a re-key and goes with the others", id.ID))
		case s.rekeyed[i]:
			r.notes = append(r.notes, fmt.Sprintf("SA %v is gone; another SA of its Child SA has its place", id.Target()))
		case at == nowhere && !s.touched():
			r.notes = append(r.notes, fmt.Sprintf("SA %v was deleted by its owner meanwhile", id.Target()))
		}
	}
	for i := range s.tx.Policies {
		if got := s.theirs(&s.tx.Policies[i]); got != nil {
			r.kept = append(r.kept, fmt.Sprintf("policy %v %v was rewritten by somebody else and is left as they want it", got.Dir, got.Sel))
		}
	}
	return r
}

func (s *settlement) do(what string, reqs []xfrm.Request) error {
	if len(reqs) == 0 {
		return nil
	}
	if err := refusals(s.conn.Do(reqs...)); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// move moves the SAs that are still where they came from.
func (s *settlement) move() error {
	reqs := migrations(s.moves, func(i int) place { return s.places[i] })
	if len(reqs) == 0 && s.moved() != nil {
		return errNotMoved
	}
	failed := s.do("migrate", reqs)
	if err := s.read(); err != nil {
		return errors.Join(failed, err)
	}
	if s.moved() == nil {
		return nil // whatever the kernel said
	}
	return cmp.Or(failed, errNotMoved)
}

// errNotMoved ends the steps where the kernel refused nothing and an SA is missing all the same. shortfall has the words.
var errNotMoved = errors.New("not all SAs are there")

// unordered reports whether policies that stand in an order of age may have lost it: a switch was on its way. Which of
// them had been replaced can't be told.
func (s *settlement) unordered() bool {
	return len(s.covering()) != 0 && slices.Contains(plan.Tied(s.tx.Policies), true)
}
