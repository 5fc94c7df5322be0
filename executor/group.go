package executor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// attempt is one transaction on its way.
type attempt struct {
	conn   *xfrm.Conn
	tx     *Transaction
	tied   []bool // by policy; see plan.Tied
	direct []bool // by policy; see Bins
	covers covers

	blockedAt time.Time
	events    []Event // of the time while traffic was held back
}

func (r *run) attempt(tx *Transaction) *attempt {
	a := &attempt{conn: r.cfg.Conn, tx: tx, tied: plan.Tied(tx.Policies), events: make([]Event, 0, 4)}
	a.direct = r.cfg.Bins.direct(tx.Policies, a.tied)
	a.covers = coversOf(tx, a.direct, &r.indexes)
	return a
}

// run takes the transaction through its phases. Each phase is one datagram, and the next one starts when every request
// of it is acknowledged. After an error the transaction stands somewhere in between: settle brings it to an end.
//
// Nothing is told while traffic is held back: whoever listens to events may be slow, a paused pager for ever.
func (a *attempt) run() error {
	a.blockedAt = time.Now()
	phases := []struct {
		name string
		done Kind
		reqs []xfrm.Request
	}{
		{"block", Blocked, a.blocking()},
		{"migrate", Migrated, a.migrating()},
		{"switch", Switched, a.switching()},
		{"unblock", Unblocked, a.unblocking()},
	}
	for _, p := range phases {
		if len(p.reqs) != 0 {
			if err := refusals(a.conn.Do(p.reqs...)); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		e := Event{Kind: p.done, Time: time.Now()}
		if p.done == Unblocked {
			e.Span = e.Time.Sub(a.blockedAt)
		}
		a.events = append(a.events, e)
	}
	return nil
}

// refusals joins the errors of a datagram. Where answers were lost they all were, and that is said once.
func refusals(errs []error) error {
	var all []error
	lost := false
	for _, err := range errs {
		var refusal *xfrm.Error
		switch {
		case err == nil:
		case errors.As(err, &refusal):
			all = append(all, err)
		case !lost:
			lost = true
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func (a *attempt) blocking() (reqs []xfrm.Request) {
	for i := range a.covers.tagged {
		if c := &a.covers.tagged[i]; c.Dir == xfrm.DirOut {
			reqs = append(reqs, xfrm.NewPolicy(c))
		}
	}
	for i := range a.covers.inPlace {
		reqs = append(reqs, xfrm.UpdatePolicy(&a.covers.inPlace[i]))
	}
	return reqs
}

// migrating puts the new inbound templates in force and moves the SAs in one datagram: between the two, inbound
// packets would be dropped for a template that doesn't match.
func (a *attempt) migrating() (reqs []xfrm.Request) {
	reqs = make([]xfrm.Request, 0, len(a.tx.Policies)+len(a.tx.Moves))
	for i := range a.covers.tagged {
		if c := &a.covers.tagged[i]; c.Dir != xfrm.DirOut {
			reqs = append(reqs, xfrm.NewPolicy(c))
		}
	}
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		if pc.New != nil && pc.Old.Dir != xfrm.DirOut && (replacedInPlace(pc) || a.direct[i]) {
			reqs = append(reqs, xfrm.UpdatePolicy(pc.New))
		}
	}
	return append(reqs, migrations(a.tx.Moves, func(int) place { return back })...)
}

// switching takes each old policy out and puts the new one in, under cover. The new one keeps the index. One over other
// packets comes before the old one goes, and so can't have its index. Policies that stand in an order of age are
// replaced in place, in that order, and so are those of small bins.
func (a *attempt) switching() (reqs []xfrm.Request) {
	reqs = make([]xfrm.Request, 0, 2*len(a.tx.Policies))
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		switch {
		case pc.New == nil:
		case reselected(pc) && replacedInPlace(pc) && pc.Old.Dir != xfrm.DirOut: // migrating has put the new one in
			reqs = append(reqs, xfrm.DeletePolicy(pc.Old))
		case reselected(pc) && replacedInPlace(pc): // the old one is the block, and has to stay until this is acknowledged
			reqs = append(reqs, xfrm.NewPolicy(anyIndex(pc.New)))
		case reselected(pc):
			reqs = append(reqs, xfrm.NewPolicy(anyIndex(pc.New)), xfrm.DeletePolicy(pc.Old))
		case replacedInPlace(pc): // by migrating or by unblocking
		case a.direct[i] && pc.Old.Dir != xfrm.DirOut: // by migrating
		case a.tied[i], a.direct[i]:
			reqs = append(reqs, xfrm.UpdatePolicy(pc.New))
		default:
			reqs = append(reqs, xfrm.DeletePolicy(pc.Old), xfrm.NewPolicy(pc.New))
		}
	}
	return reqs
}

// anyIndex returns p to be added where the kernel likes.
func anyIndex(p *xfrm.Policy) *xfrm.Policy {
	q := *p
	q.Index = 0
	return &q
}

// unblocking ends the block: the covers go, and policies that were blocked in place come back.
func (a *attempt) unblocking() (reqs []xfrm.Request) {
	reqs = make([]xfrm.Request, 0, len(a.tx.Policies)+len(a.covers.tagged))
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		switch {
		case pc.Old.Dir != xfrm.DirOut || !replacedInPlace(pc):
		case reselected(pc):
			reqs = append(reqs, xfrm.DeletePolicy(pc.Old))
		default:
			reqs = append(reqs, xfrm.UpdatePolicy(goal(pc)))
		}
	}
	for i := range slices.Backward(a.covers.tagged) {
		reqs = append(reqs, xfrm.DeletePolicy(&a.covers.tagged[i]))
	}
	return reqs
}
