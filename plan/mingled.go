package plan

import (
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// retags reports whether the SA gets a reqid or mark by which templates tell SAs between two hosts apart.
func (v *move) retags() bool { return v.m.NewReqid != v.sa.Reqid || v.m.Mark != nil }

// mingled refuses a reqid or mark that an SA of another Child SA between the same hosts has: the policies of the one
// would take SAs of the other, and send its traffic there.
func (c *computation) mingled() {
	if !c.retagged {
		return
	}
	inv, after := c.after(), new(links)
	after.findUsers(inv)
	first := make(map[int32]*xfrm.Policy) // by SA that retags: the policy of lowest index that would have SAs of two
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		note := func(i int32) {
			if v := c.moved[i]; v != nil && v.retags() && (first[i] == nil || p.Index < first[i].Index) {
				first[i] = p
			}
		}
		for ti := range p.Templates {
			had := c.links.ofTemplate(pi, ti) // sorted, as a table finds them
			for _, i := range after.ofTemplate(pi, ti) {
				if _, found := slices.BinarySearch(had, i); found || c.oneChild(pi, i) {
					continue
				}
				note(i)
				for _, j := range had {
					note(j)
				}
			}
		}
	}
	for i, p := range first {
		v := c.moved[i]
		c.refuse(SlugSharedTemplate, v.sa,
			fmt.Sprintf("SA %v would get reqid %d and mark %v, with which policy %v %v would take SAs of two Child SAs",
				v.sa.ID, v.m.NewReqid, v.m.TargetMark(), p.Dir, p.Sel),
			"set a reqid that no other Child SA between the two hosts has")
	}
}

// oneChild reports whether the policy and the SA belong to one Child SA.
func (c *computation) oneChild(pi int, i int32) bool {
	return c.links.children.find(c.links.offset+int32(pi)) == c.links.children.find(i)
}

// after is what the SAD and the SPD hold when the plan is carried out.
func (c *computation) after() *Inventory {
	inv := &Inventory{SAs: slices.Clone(c.inv.SAs), Policies: slices.Clone(c.inv.Policies)}
	for i, v := range c.moved {
		if v != nil {
			sa := &inv.SAs[i]
			sa.ID, sa.Src, sa.Sel, sa.Reqid, sa.Mark = v.m.Target(), v.m.NewSrc, v.m.NewSel, v.m.NewReqid, v.m.TargetMark()
		}
	}
	for pi, next := range c.next {
		if next != nil {
			inv.Policies[pi] = *next
		}
	}
	return inv
}
