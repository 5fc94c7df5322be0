package executor

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// mended is what a transaction has come to. Where failed is not nil something went wrong in it, and this is what was done about that.
type mended struct {
	outcome Outcome // Done or Undone; none if an SA is lost, which only its daemon can do something about
	got     settled
	failed  error
	err     error         // what keeps it from outcome
	span    time.Duration // for how long its traffic was held back
}

// rekeyed reports whether the transaction was brought back because an SA had been re-keyed or deleted right before it was to move.
func (m *mended) rekeyed() bool {
	return m.outcome == Undone && m.err == nil && errors.Is(m.failed, unix.ESRCH)
}

// mend goes on with a transaction in which something went wrong: forward, if what went wrong was only an answer that
// got lost or if the SAs are all there; back otherwise.
func (r *run) mend(gi int, a *attempt, failed error) *mended {
	if a.goesOn(failed) {
		got, err := settle(a.conn, a.tx, &r.indexes)
		if err == nil && len(got.kept) == 0 {
			return &mended{outcome: Done, got: got, failed: failed}
		}
		failed = errors.Join(failed, err)
		for _, text := range got.kept {
			failed = errors.Join(failed, errors.New(text))
		}
	}
	if len(r.moves(gi)) != 0 && r.cfg.IKE.OnLoss && isLost(a.conn, a.tx, &r.indexes) {
		return &mended{failed: failed}
	}
	reversed := a.tx.Reversed()
	got, err := settle(a.conn, &reversed, &r.indexes)
	return &mended{outcome: Undone, got: got, failed: failed, err: err}
}

// goesOn reads the SAs rather than guess from errors where they are.
func (a *attempt) goesOn(failed error) bool {
	var refusal *xfrm.Error
	if !errors.As(failed, &refusal) && errors.Is(failed, xfrm.ErrOutcomeUnknown) {
		return true
	}
	q := new(query)
	places := make([]place, len(a.tx.Moves))
	locate(q, a.tx.Moves, places)
	if q.run(a.conn) != nil {
		return false
	}
	for _, at := range places {
		if at != there {
			return false
		}
	}
	return len(places) != 0
}

// tell tells what a transaction has come to.
func (r *run) tell(gi int, a *attempt, m *mended) error {
	name := a.tx.Name
	for _, e := range a.events {
		e.Group = name
		r.event(e)
	}
	switch {
	case m.failed == nil:
		r.indexes.put(a.covers.tagged)
	case m.outcome == Done:
		r.event(Event{Kind: Note, Group: name, Text: m.failed.Error() + "; what is there was read back, and it was completed", Answers: answersOf(m.failed)})
	case m.outcome != Undone:
		return r.reestablish(gi, a, m.failed)
	default:
		r.event(Event{Kind: GroupFailed, Group: name, Text: m.failed.Error(), Answers: answersOf(m.failed)})
	}
	r.end(gi, m.outcome, m.got, m.err, a.blockedAt, m.span)
	if m.err != nil {
		return errors.Join(m.failed, couldNotBeUndone(m.err))
	}
	if m.outcome == Undone {
		return m.failed
	}
	return nil
}

func couldNotBeUndone(err error) error { return fmt.Errorf("it could not be undone: %w", err) }

// broughtBack tells that a transaction is to be tried once more.
func (r *run) broughtBack(a *attempt, m *mended) {
	r.event(Event{Kind: Note, Group: a.tx.Name, Text: m.failed.Error() + "; it was brought back", Answers: answersOf(m.failed), Since: a.blockedAt, Span: m.span})
}

// leads says whether the daemon has its hands in the policies of groups.
func (r *run) leads(leads bool, groups ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, gi := range groups {
		r.led[gi] = leads
	}
}

// undo brings a group that is done back to where it was.
func (r *run) undo(gi int, since time.Time) error {
	if r.daemon[gi] != nil {
		r.leads(true, gi)
		defer r.leads(false, gi)
		return r.followBack(gi)
	}
	reversed := r.txs[gi].Reversed()
	r.holding.Lock()
	got, err := settle(r.cfg.Conn, &reversed, &r.indexes)
	r.holding.Unlock()
	r.end(gi, Undone, got, err, since, time.Since(since))
	if err != nil {
		return couldNotBeUndone(err)
	}
	return nil
}
