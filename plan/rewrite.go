package plan

import (
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rewrite computes what becomes of a policy: its new form, or nil if it stays. calls are those of the SAs by number,
// nil for the SAs that stay.
func (c *computation) rewrite(pi int) *xfrm.Policy {
	p := &c.inv.Policies[pi]
	users := c.links.users[pi]
	templates := slices.Clone(p.Templates)
	changed := false
	for i := range templates {
		t := &templates[i]
		next, ok := c.newTemplate(p, t, users)
		if !ok {
			return nil
		}
		changed = changed || next != *t
		*t = next
	}
	if !changed {
		return nil
	}
	next := *p
	next.Templates = templates
	return &next
}

// newTemplate computes the template that goes with what its SAs become. It is not ok, and refused, if they part ways.
func (c *computation) newTemplate(p *xfrm.Policy, t *xfrm.Template, users []int32) (next xfrm.Template, ok bool) {
	next = *t
	served := 0
	for _, i := range users {
		sa := &c.inv.SAs[i]
		if !satisfies(sa, p, t) {
			continue
		}
		want := *t
		if call := c.calls[i]; call != nil {
			want = follow(t, &call.Migration)
		}
		if served > 0 && want != next {
			c.plan.refuse(SlugPartlySelected, "",
				fmt.Sprintf("policy %v %v: its SAs would part ways (%v and %v)", p.Dir, p.Sel, next, want),
				"select all SAs of the Child SA or none, and give them one reqid")
			return *t, false
		}
		next = want
		served++
	}
	if served == 0 {
		return c.templateAlone(t), true
	}
	return next, true
}

// follow returns the template for an SA that it asked for after the SA's migration. What is a wildcard stays one.
func follow(t *xfrm.Template, m *xfrm.Migration) xfrm.Template {
	next := *t
	if !t.Dst.IsAny() {
		next.Dst = m.NewDst
	}
	if !t.Src.IsAny() {
		next.Src = m.NewSrc
	}
	if !t.Dst.IsAny() || !t.Src.IsAny() {
		next.Family = m.NewFamily
	}
	if t.Reqid != 0 {
		next.Reqid = m.NewReqid
	}
	return next
}

// templateAlone maps the addresses of a template that no SA satisfies, a trap's or an expired Child SA's: left at the
// old ones it would make an IKE daemon negotiate there. A selection by properties of SAs can't take it.
func (c *computation) templateAlone(t *xfrm.Template) xfrm.Template {
	next := *t
	if len(c.doc.Select.Include) != 0 {
		return next
	}
	src, movedSrc := c.mapping.apply(t.SrcIP())
	dst, movedDst := c.mapping.apply(t.DstIP())
	if src.Is4() != dst.Is4() {
		return next
	}
	if movedSrc {
		next.Src = xfrm.AddressFrom(src)
	}
	if movedDst {
		next.Dst = xfrm.AddressFrom(dst)
	}
	next.Family = xfrm.FamilyOf(dst)
	return next
}
