package executor

import (
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// attempt is one transaction on its way.
type attempt struct {
	conn   *xfrm.Conn
	tx     *Transaction
	covers covers
	emit   func(Kind, string, time.Duration)

	blockedAt time.Time
}

// run takes the transaction through its phases. Each phase is one datagram, and the next one starts when every request
// of it is acknowledged. After an error the transaction stands somewhere in between: settle brings it to an end.
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
		{"unblock", "", a.unblocking()},
	}
	for _, p := range phases {
		if len(p.reqs) == 0 {
			continue
		}
		if err := errors.Join(a.conn.Do(p.reqs...)...); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.done != "" {
			a.emit(p.done, "", 0)
		}
	}
	a.emit(Unblocked, "", time.Since(a.blockedAt))
	return nil
}

func (a *attempt) blocking() (reqs []xfrm.Request) {
	for i := range a.covers.blocks {
		reqs = append(reqs, xfrm.NewPolicy(&a.covers.blocks[i]))
	}
	for i := range a.covers.inPlace {
		reqs = append(reqs, xfrm.UpdatePolicy(&a.covers.inPlace[i]))
	}
	return reqs
}

// migrating puts the new inbound templates in force and moves the SAs in one datagram: between the two, inbound
// packets would be dropped for a template that doesn't match.
func (a *attempt) migrating() (reqs []xfrm.Request) {
	for i := range a.covers.shadows {
		reqs = append(reqs, xfrm.NewPolicy(&a.covers.shadows[i]))
	}
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		if pc.New != nil && pc.Old.Dir != xfrm.DirOut && pc.Old.Priority == 0 {
			reqs = append(reqs, xfrm.UpdatePolicy(pc.New))
		}
	}
	return append(reqs, a.tx.migrations(func(int) place { return back })...)
}

// switching takes each old policy out and puts the new one in, under cover. The new one keeps the index.
func (a *attempt) switching() (reqs []xfrm.Request) {
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		switch {
		case pc.New == nil:
		case pc.Old.Priority != 0:
			reqs = append(reqs, xfrm.DeletePolicy(&pc.Old), xfrm.NewPolicy(pc.New))
		case pc.Old.Dir == xfrm.DirOut && pc.New.Sel != pc.Old.Sel:
			reqs = append(reqs, xfrm.NewPolicy(pc.New))
		}
	}
	return reqs
}

// unblocking ends the block: the covers go, and policies that were blocked in place come back.
func (a *attempt) unblocking() (reqs []xfrm.Request) {
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		if pc.Old.Dir != xfrm.DirOut || pc.Old.Priority != 0 {
			continue
		}
		if pc.New != nil && pc.New.Sel != pc.Old.Sel {
			reqs = append(reqs, xfrm.DeletePolicy(&pc.Old))
		} else {
			reqs = append(reqs, xfrm.UpdatePolicy(goal(pc)))
		}
	}
	for _, p := range a.covers.tagged() {
		reqs = append(reqs, xfrm.DeletePolicy(&p))
	}
	return reqs
}
