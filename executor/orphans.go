package executor

import (
	"errors"
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Orphans deletes tagged policies that no journal tells of, where what they cover is whole again: an untagged policy
// over the same traffic that protects it. Those that stand alone are left and named, and so are the blocks that took a
// policy's place: without them packets would leave in the clear.
func Orphans(conn *xfrm.Conn) (deleted int, err error) {
	policies, err := conn.Policies()
	if err != nil {
		return 0, fmt.Errorf("read the SPD: %w", err)
	}
	whole := make(map[xfrm.Key]bool, len(policies))
	for i := range policies {
		p := &policies[i]
		whole[p.Key()] = !p.Tagged() && protects(p)
	}
	var left []error
	var reqs []xfrm.Request
	for i := range policies {
		p := &policies[i]
		k := p.Key()
		k.Sel.User = 0
		switch {
		case p.Tagged() && whole[k]:
			reqs = append(reqs, xfrm.DeletePolicy(p))
		case p.Tagged():
			left = append(left, fmt.Errorf("policy %v %v (index %d) covers nothing that protects its traffic: it stays", p.Dir, p.Sel, p.Index))
		case blockedInPlace(p):
			left = append(left, fmt.Errorf("policy %v %v (index %d) blocks in the place of one that no journal tells of: it stays until its owner puts that back",
				p.Dir, p.Sel, p.Index))
		}
	}
	failures := conn.Do(reqs...)
	for _, err := range failures {
		if err == nil {
			deleted++
		}
	}
	if err := refusals(failures); err != nil {
		left = append(left, fmt.Errorf("delete tagged policies: %w", err))
	}
	return deleted, errors.Join(left...)
}

// Left counts the policies that runs have left behind.
func Left(conn *xfrm.Conn) (n int, err error) {
	policies, err := conn.Policies()
	for i := range policies {
		if policies[i].Tagged() || blockedInPlace(&policies[i]) {
			n++
		}
	}
	return n, err
}
