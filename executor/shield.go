package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What is done about a daemon that deletes the policies of a Child SA together with the one that it replaces (ike.Sharer). Before it is told to, tagged
// copies of the policies go above them, with templates and all: what the policies protect, the copies do, and traffic flows. The daemon doesn't know
// of them and deletes none. When it has put its own back the copies go. Whoever finds the copies after a crash finds the tunnel protected.

func (c *companion) shares() bool {
	_, shares := c.part.Driver.(ike.Sharer)
	return shares
}

// shield puts copies over the policies of the group that are the Child SA's.
func (c *companion) shield(tx *Transaction, now []ike.ChildSA) error {
	if !c.shares() {
		return nil
	}
	var reqs []xfrm.Request
	var bare []error
	err := c.policies(tx, func(want, got *xfrm.Policy) {
		switch {
		case !usedBy(got, now):
			bare = append(bare, fmt.Errorf("policy %v %v is not the new Child SA's", want.Dir, want.Sel))
		case got.Priority == 0:
			bare = append(bare, fmt.Errorf("policy %v %v has priority 0, which nothing can outrank", want.Dir, want.Sel))
		default:
			reqs = append(reqs, xfrm.UpdatePolicy(shieldOver(got, c.indexes.next(got.Dir)))) // one may be left of an earlier attempt
		}
	})
	if err := errors.Join(err, errors.Join(bare...)); err != nil {
		return err
	}
	return refusals(c.conn.Do(reqs...))
}

func shieldOver(p *xfrm.Policy, index uint32) *xfrm.Policy {
	s := *p
	s.Sel = p.Sel.Tagged(xfrm.Tag)
	s.Index = index
	s.Priority--
	s.Limits, s.Current = xfrm.NoLimits, xfrm.Lifetime{}
	s = s.WithoutUnknown()
	return &s
}

// unshield takes the copies away, and what an earlier attempt has left over the group's policies.
func (c *companion) unshield(tx *Transaction) error {
	if !c.shares() {
		return nil
	}
	q := new(query)
	var reqs []xfrm.Request
	for i := range tx.Policies {
		q.ask(xfrm.GetPolicyByKey(coverKey(goal(&tx.Policies[i]))), func(a *xfrm.Answer) {
			if a != nil {
				reqs = append(reqs, xfrm.DeletePolicy(a.Policy))
			}
		})
	}
	if err := q.run(c.conn); err != nil {
		return err
	}
	return refusals(c.conn.Do(reqs...))
}

// inForce makes sure that the policies of the group are the Child SA's, and has it renewed where the daemon has taken them along: it has other SPIs
// then. A peer that initiated it does so, too, and is given half of the time: two that rekey at once get two of everything.
func (c *companion) inForce(tx *Transaction, now []ike.ChildSA) (renewed bool, err error) {
	sharer, shares := c.part.Driver.(ike.Sharer)
	if !shares {
		return false, nil
	}
	missing, err := c.missing(tx, now)
	if missing == nil || err != nil {
		return false, err
	}
	ctx, cancel := c.limit()
	defer cancel()
	for i := range now {
		if !now[i].Initiator {
			first, cancel := context.WithTimeout(ctx, c.part.Config.Timeout/2)
			missing, err = c.awaitInForce(first, tx, now)
			cancel()
			if missing == nil || err != nil {
				return true, err
			}
		}
		if err := sharer.Renew(ctx, now[i]); err != nil {
			return true, err
		}
	}
	missing, err = c.awaitInForce(ctx, tx, now)
	return true, errors.Join(err, missing)
}

// awaitInForce waits until nothing is missing.
func (c *companion) awaitInForce(ctx context.Context, tx *Transaction, now []ike.ChildSA) (missing, err error) {
	for {
		if missing, err = c.missing(tx, now); missing == nil || err != nil {
			return missing, err
		}
		select {
		case <-ctx.Done():
			return missing, nil
		case <-time.After(gatePoll):
		}
	}
}

// missing says which policies of the group are not the Child SA's.
func (c *companion) missing(tx *Transaction, now []ike.ChildSA) (missing, err error) {
	var all []error
	err = c.policies(tx, func(want, got *xfrm.Policy) {
		if !usedBy(got, now) {
			all = append(all, fmt.Errorf("the daemon has taken policy %v %v away and not put it back", want.Dir, want.Sel))
		}
	})
	return errors.Join(all...), err
}

// policies reads what there is for each policy that the group is to have, nil if there is none.
func (c *companion) policies(tx *Transaction, use func(want, got *xfrm.Policy)) error {
	q := new(query)
	for i := range tx.Policies {
		want := goal(&tx.Policies[i])
		q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) {
			if a == nil {
				use(want, nil)
			} else {
				use(want, a.Policy)
			}
		})
	}
	return q.run(c.conn)
}

// usedBy reports whether a policy asks for SAs of one of the Child SAs.
func usedBy(p *xfrm.Policy, now []ike.ChildSA) bool {
	if p == nil {
		return false
	}
	for i := range p.Templates {
		for j := range now {
			if p.Templates[i].Reqid == now[j].Reqid {
				return true
			}
		}
	}
	return false
}
