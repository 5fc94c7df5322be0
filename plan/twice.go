package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// MeetsItself reports whether a `to` of the document overlaps a `from`, as in a chain: applied again, it would move on
// what it has moved.
func (d *Document) MeetsItself() bool {
	back := make([]Renumber, len(d.Renumber))
	for i, r := range d.Renumber {
		back[i] = Renumber{From: r.To, To: r.From}
	}
	there, from := newMapping(d.Renumber), newMapping(back)
	for _, r := range d.Renumber {
		// Prefixes overlap if and only if one holds the other's first address.
		if _, in := there.apply(xfrm.AddressFrom(r.To.Masked().Addr()), xfrm.FamilyOf(r.To.Addr())); in {
			return true
		}
		if _, in := from.apply(xfrm.AddressFrom(r.From.Masked().Addr()), xfrm.FamilyOf(r.From.Addr())); in {
			return true
		}
	}
	return false
}

// RefuseTwice refuses the plan because a run has applied its document here already and it would move SAs once more.
func (p *Plan) RefuseTwice(run string) {
	p.Refusals = append(p.Refusals, Refusal{
		Slug:   SlugTwice,
		Reason: fmt.Sprintf("run %s has applied this plan here, and it maps some of what it has moved on to further addresses", run),
		Hint:   "split the plan so that no `to` meets a `from`, or undo that run with `xfrm-plan rollback` first",
	})
}
