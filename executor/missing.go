package executor

import (
	"errors"
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// errBare means that policies of a group are gone. What they protected is blocked, or the error says that it could not be.
var errBare = errors.New("policies that protect its traffic are gone, and it is blocked")

// blockMissing puts tagged blocks where a transaction's policies should protect something and nothing does, in every direction: what comes in in the
// clear would pass as well. It returns nil if nothing is missing, and errBare otherwise. A tagged copy of a policy counts as the policy.
func blockMissing(conn *xfrm.Conn, tx *Transaction, x *indexes) error {
	missing, err := missingOf(conn, tx)
	if err != nil || len(missing) == 0 {
		return err
	}
	var reqs []xfrm.Request
	for _, m := range missing {
		if !m.blocked {
			reqs = append(reqs, m.block(x))
		}
	}
	err = fmt.Errorf("%w: %d of them, the first policy %v %v", errBare, len(missing), missing[0].want.Dir, missing[0].want.Sel)
	if failed := refusals(conn.Do(reqs...)); failed != nil {
		return fmt.Errorf("%w; some could not be blocked, and NOTHING PROTECTS THEIR TRAFFIC: %w", err, failed)
	}
	return err
}

// missingPolicy is one that should protect something and doesn't.
type missingPolicy struct {
	want    *xfrm.Policy
	got     *xfrm.Policy // what lets its traffic pass in its place, or is its block; nil if there is none
	blocked bool
}

func missingOf(conn *xfrm.Conn, tx *Transaction) (missing []missingPolicy, err error) {
	q := new(query)
	for i := range tx.Policies {
		want := goal(&tx.Policies[i])
		if !protects(want) {
			continue
		}
		q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) {
			switch {
			case a == nil:
				missing = append(missing, missingPolicy{want: want})
			case !protects(a.Policy), blockedInPlace(a.Policy):
				missing = append(missing, missingPolicy{want, a.Policy, protects(a.Policy)})
			}
		})
	}
	if err := q.run(conn); err != nil {
		return nil, err
	}
	copied := make([]bool, len(missing))
	q = new(query)
	for i := range missing {
		q.ask(xfrm.GetPolicyByKey(coverKey(missing[i].want)), func(a *xfrm.Answer) {
			if a != nil && protects(a.Policy) {
				missing[i].blocked = true
				copied[i] = a.Policy.Action != xfrm.Block
			}
		})
	}
	err = q.run(conn)
	var bare []missingPolicy
	for i := range missing {
		if !copied[i] {
			bare = append(bare, missing[i])
		}
	}
	return bare, err
}

// block blocks what the policy should protect.
func (m *missingPolicy) block(x *indexes) xfrm.Request {
	over := m.want
	if m.got != nil {
		over = m.got
	}
	switch {
	case over.Priority != 0:
		b := block(over, x.next(over.Dir))
		return xfrm.NewPolicy(&b)
	case m.got != nil:
		b := blockInPlace(over)
		return xfrm.UpdatePolicy(&b)
	default: // one that its owner puts back in this instant is not to be replaced
		b := blockInPlace(over)
		return xfrm.NewPolicy(&b)
	}
}
