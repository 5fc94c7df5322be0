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
			left = append(left, fmt.Errorf("policy %v %v (index %d) covers nothing that protects its traffic, and stays: %s", p.Dir, p.Sel, p.Index, putBack(p)))
		case blockedInPlace(p):
			left = append(left, fmt.Errorf("policy %v %v (index %d) blocks in the place of one that no journal tells of, and stays: %s", p.Dir, p.Sel, p.Index, putBack(p)))
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

// putBack says how the owner of a policy that only a block is left of puts it back. Templates are theirs to know. To
// close the tunnel down and bring it up again would be a mistake: a daemon that deletes its policy deletes a block in
// place with it.
func putBack(p *xfrm.Policy) string {
	var more string
	if p.IfID != 0 {
		more = fmt.Sprintf(" if_id %#x", p.IfID)
	}
	if p.Mark.Mask != 0 {
		more += fmt.Sprintf(" mark %#x mask %#x", p.Mark.Value, p.Mark.Mask)
	}
	return fmt.Sprintf("put the policy back over it, by hand with `ip xfrm policy update src %v dst %v dir %v%s priority N tmpl ...`, or with `swanctl --rekey --child NAME` "+
		"if it is strongSwan's, and run `xfrm-plan recover` again; don't delete the block or close the tunnel down, or packets leave in the clear",
		p.Sel.SrcPrefix(), p.Sel.DstPrefix(), p.Dir, more)
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
