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
	q := new(query)
	var gone []string
	var reqs []xfrm.Request
	for i := range tx.Policies {
		want := goal(&tx.Policies[i])
		if !protects(want) {
			continue
		}
		var got *xfrm.Policy
		q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) {
			if a != nil {
				got = a.Policy
			}
		})
		tagged := *want
		tagged.Sel = want.Sel.Tagged(xfrm.Tag)
		q.ask(xfrm.GetPolicyByKey(&tagged), func(a *xfrm.Answer) {
			covered := a != nil && protects(a.Policy)
			switch {
			case protects(got) && !blockedInPlace(got), covered && a.Policy.Action != xfrm.Block:
				return
			case !covered && !protects(got):
				reqs = append(reqs, blockOver(want, got, x))
			}
			gone = append(gone, fmt.Sprintf("policy %v %v", want.Dir, want.Sel))
		})
	}
	if err := q.run(conn); err != nil || len(gone) == 0 {
		return err
	}
	err := fmt.Errorf("%w: %d of them, the first %s", errBare, len(gone), gone[0])
	if failed := refusals(conn.Do(reqs...)); failed != nil {
		return fmt.Errorf("%w; some could not be blocked, and NOTHING PROTECTS THEIR TRAFFIC: %w", err, failed)
	}
	return err
}

// blockOver blocks what a policy should protect. There is none there, or one that lets it pass.
func blockOver(want, got *xfrm.Policy, x *indexes) xfrm.Request {
	if got != nil {
		want = got
	}
	switch {
	case want.Priority != 0:
		b := block(want, x.next(want.Dir))
		return xfrm.NewPolicy(&b)
	case got != nil:
		b := blockInPlace(got)
		return xfrm.UpdatePolicy(&b)
	default: // one that its owner puts back in this instant is not to be replaced
		b := blockInPlace(want)
		return xfrm.NewPolicy(&b)
	}
}
