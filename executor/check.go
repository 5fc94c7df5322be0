package executor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// check reads the group again right before it is touched, in one datagram: its inventory may be minutes old, while the
// operator thought about it or earlier waves ran. A group that changed since is left alone. It also makes sure that the
// indexes of the covers are free, because the covers will be deleted by them.
//
// What its owner changes in the instants between this and the end of the transaction is found when it is read back.
func (a *attempt) check() error {
	q := queryOf(len(a.tx.Moves) + len(a.tx.Policies) + len(a.covers.unread))
	var changed []error
	places := make([]place, len(a.tx.Moves))
	standing(q, a.tx.Moves, places)
	for i := range a.tx.Policies {
		old := a.tx.Policies[i].Old
		q.ask(xfrm.GetPolicy(old), func(ans *xfrm.Answer) {
			switch {
			case ans == nil:
				changed = append(changed, fmt.Errorf("policy %v %v (index %d) is gone", old.Dir, old.Sel, old.Index))
			case !ans.Policy.Same(old):
				changed = append(changed, fmt.Errorf("policy %v %v (index %d) is not what it was", old.Dir, old.Sel, old.Index))
			}
		})
	}
	for _, c := range a.covers.unread {
		q.ask(xfrm.GetPolicy(&c), func(ans *xfrm.Answer) {
			if ans != nil {
				changed = append(changed, fmt.Errorf("index %d is taken by policy %v %v: a left-over of a run? `xfrm-plan recover` removes it",
					c.Index, ans.Policy.Dir, ans.Policy.Sel))
			}
		})
	}
	if err := q.run(a.conn); err != nil {
		return err
	}
	if slices.ContainsFunc(places, func(at place) bool { return at != back }) { // to say what has become of them
		q = new(query)
		locate(q, a.tx.Moves, places)
		if err := q.run(a.conn); err != nil {
			return err
		}
	}
	for i, at := range places {
		switch id := a.tx.Moves[i].There.ID; at {
		case back:
		case nowhere:
			changed = append(changed, fmt.Errorf("SA %v is gone or was re-keyed", id))
		default:
			changed = append(changed, fmt.Errorf("SA %v has been moved", id))
		}
	}
	if len(changed) != 0 {
		return fmt.Errorf("%w: %w", errChanged, errors.Join(changed...))
	}
	return nil
}

// verify reads every SA, policy and cover back, and says what is not as it should be.
func (a *attempt) verify() error {
	q := queryOf(2*len(a.tx.Moves) + len(a.tx.Policies) + len(a.covers.tagged))
	var wrong []error
	places := make([]place, len(a.tx.Moves))
	locate(q, a.tx.Moves, places)
	for i := range a.tx.Policies {
		pc := &a.tx.Policies[i]
		want := goal(pc)
		ask, elsewhere := xfrm.GetPolicy, reselected(pc)
		if elsewhere { // the kernel chose its index
			ask = xfrm.GetPolicyByKey
		}
		q.ask(ask(want), func(ans *xfrm.Answer) {
			if ans == nil || !ans.Policy.Same(want) {
				wrong = append(wrong, fmt.Errorf("policy %v %v is not as it should be", want.Dir, want.Sel))
			}
		})
		if elsewhere {
			q.ask(xfrm.GetPolicyByKey(pc.Old), func(ans *xfrm.Answer) {
				if ans != nil {
					wrong = append(wrong, fmt.Errorf("policy %v %v is still there", pc.Old.Dir, pc.Old.Sel))
				}
			})
		}
	}
	for i := range a.covers.tagged {
		c := &a.covers.tagged[i]
		q.ask(xfrm.GetPolicy(c), func(ans *xfrm.Answer) {
			if ans != nil {
				wrong = append(wrong, fmt.Errorf("temporary policy %v %v is still there", c.Dir, c.Sel))
			}
		})
	}
	if err := q.run(a.conn); err != nil {
		return err
	}
	for i, at := range places {
		if at != there {
			wrong = append(wrong, fmt.Errorf("SA %v is not where it should be", a.tx.Moves[i].There.Target()))
		}
	}
	return errors.Join(wrong...)
}
