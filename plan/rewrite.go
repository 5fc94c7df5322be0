package plan

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rewrites computes what becomes of each policy: its new form, or nil if it stays.
func (c *computation) rewrites() {
	c.next = make([]*xfrm.Policy, len(c.inv.Policies))
	var reselected atomic.Bool
	spread(len(c.inv.Policies), func(from, to int) {
		if c.rewritesOf(from, to) {
			reselected.Store(true)
		}
	})
	if reselected.Load() {
		c.checkKeys()
	}
}

// rewritesOf does the work of rewrites for policies from..to-1 and reports whether one gets another selector.
func (c *computation) rewritesOf(from, to int) (reselected bool) {
	var all slab[xfrm.Policy]
	var allTemplates slab[xfrm.Template]
	var templates []xfrm.Template // of the policy in hand
	for pi := from; pi < to; pi++ {
		p := &c.inv.Policies[pi]
		if len(p.Templates) == 0 || p.Tagged() {
			continue
		}
		templates = append(templates[:0], p.Templates...)
		sel, ok := c.rewrite(pi, templates)
		alignFamilies(templates)
		if !ok || sel == p.Sel && slices.Equal(templates, p.Templates) {
			continue
		}
		next := all.next()
		*next = *p
		next.Sel, next.Templates = sel, allTemplates.clone(templates)
		c.next[pi] = next
		reselected = reselected || sel != p.Sel
	}
	return reselected
}

// rewrite changes templates, a copy of the policy's, into what they become, and returns what the selector becomes. It
// is not ok, and refused, if SAs of the policy part ways.
func (c *computation) rewrite(pi int, templates []xfrm.Template) (sel xfrm.Selector, ok bool) {
	p := &c.inv.Policies[pi]
	if len(c.links.ofPolicy(pi)) == 0 {
		return c.rewriteAlone(p, templates)
	}
	w := &rewriting{c: c, p: p, sel: p.Sel}
	tunnel := false // in front of the template
	for ti := range templates {
		if !w.template(&templates[ti], c.links.ofTemplate(pi, ti)) {
			return p.Sel, false
		}
		tunnel = tunnel || p.Templates[ti].Mode != xfrm.ModeTransport
	}
	// Templates that no SA satisfies, such as an optional one of IPComp, go along with their neighbours.
	for ti := range templates {
		if len(c.links.ofTemplate(pi, ti)) == 0 && w.user != nil {
			t := &templates[ti]
			if (ends{t.Src, t.Dst, t.Family}) == w.user.from() {
				*t = followed(p, t, w.user)
			}
		}
	}
	return w.sel, w.checkTraffic(tunnel)
}

// rewriting is a policy and what its SAs have made of it so far.
type rewriting struct {
	c    *computation
	p    *xfrm.Policy
	sel  xfrm.Selector
	seen bool  // sel has been agreed upon
	user *move // the first of its SAs that move, in the plan's order
}

// template changes t to go with what its SAs become. It is not ok, and refused, if they part ways.
func (w *rewriting) template(t *xfrm.Template, users []int32) bool {
	old := *t
	for n, i := range users {
		want, sel := old, w.p.Sel
		if v := w.c.moved[i]; v != nil {
			if !w.keepsMark(v) {
				return false
			}
			want = followed(w.p, &old, v)
			sel = w.followed(v)
			if w.user == nil || compareSAs(v.sa, w.user.sa) < 0 {
				w.user = v
			}
		}
		if n > 0 && want != *t || w.seen && sel != w.sel {
			w.c.refuse(SlugPartlySelected, &w.c.inv.SAs[i],
				fmt.Sprintf("policy %v %v: its SAs would part ways", w.p.Dir, w.p.Sel),
				"select all SAs of the policy or none, and set the same for all of them")
			return false
		}
		*t, w.sel, w.seen = want, sel, true
	}
	return true
}

// keepsMark refuses a new mark with which the policy would not find the SA any more: a policy keeps its own.
func (w *rewriting) keepsMark(v *move) bool {
	if v.m.Mark == nil || marksMeet(w.p, *v.m.Mark) {
		return true
	}
	w.c.refuse(SlugPolicyMark, v.sa,
		fmt.Sprintf("SA %v would get mark %v, with which policy %v %v of mark %v does not find it", v.sa.ID, *v.m.Mark, w.p.Dir, w.p.Sel, w.p.Mark),
		"leave out overrides.set.mark for this SA; SAs and policies get a new mark together in the IKE configuration")
	return false
}

// followed is what an SA makes of the policy's selector. Where it can't follow, the SA has been refused already.
func (w *rewriting) followed(v *move) xfrm.Selector {
	if !v.hosts {
		return w.p.Sel
	}
	sel, _ := followHosts(w.p.Sel, v.from(), v.to())
	return sel
}

// checkTraffic looks whether the policy is for the old addresses themselves, and refuses where that is all that the SA
// carries: at its new addresses the traffic would match no policy and leave in the clear.
func (w *rewriting) checkTraffic(tunnel bool) bool {
	v := w.user
	if v == nil {
		return true
	}
	from, to := v.from(), v.to()
	if tunnel {
		if src, dst := isHost(&w.p.Sel, from); src && dst && w.sel == w.p.Sel && from != to {
			w.c.warn(SlugHostSelector, "", fmt.Sprintf("policy %v %v is for traffic between the old outer addresses and stays so; "+
				"set overrides.set.selector: host-to-host if it is to follow", w.p.Dir, w.p.Sel))
		}
		return true
	}
	if admits(&w.p.Sel, from.src, from.dst, from.family) && !admits(&w.sel, to.src, to.dst, to.family) {
		w.c.refuse(SlugTransportSelector, v.sa,
			fmt.Sprintf("policy %v %v is for the old addresses of transport-mode SA %v: at the new ones its traffic would match no policy",
				w.p.Dir, w.p.Sel, v.sa.ID),
			"let selectors that are single hosts follow: overrides.set.selector: host-to-host; widen others in the IKE configuration")
		return false
	}
	return true
}

// followed returns the template for an SA that it asked for after the SA's migration. What is a wildcard, or what the
// SA doesn't have, stays. Reqid 0 is a wildcard inbound only: outbound the kernel compares it as any other.
func followed(p *xfrm.Policy, t *xfrm.Template, v *move) xfrm.Template {
	next := moved(*t, v.from(), v.to())
	if t.Reqid == v.sa.Reqid && (t.Reqid != 0 || p.Dir == xfrm.DirOut) {
		next.Reqid = v.m.NewReqid
	}
	return next
}

// moved returns the template with the addresses that are those of from replaced by those of to.
func moved(t xfrm.Template, from, to ends) xfrm.Template {
	family := t.Family != to.family
	if !t.Dst.IsAny() && (t.Dst == from.dst || family) {
		t.Dst = to.dst
	}
	if !t.Src.IsAny() && (t.Src == from.src || family) {
		t.Src = to.src
	}
	t.Family = to.family
	return t
}

// alignFamilies gives transport-mode templates with wildcard addresses the family of the tunnel in front of them, whose
// addresses they take over.
func alignFamilies(templates []xfrm.Template) {
	for i := range templates {
		t := &templates[i]
		if i > 0 && t.Mode == xfrm.ModeTransport && t.Src.IsAny() && t.Dst.IsAny() {
			t.Family = templates[i-1].Family
		}
	}
}

// checkKeys refuses to give a policy the selector of another one: the kernel would take it for the same policy.
func (c *computation) checkKeys() {
	holders := make(map[xfrm.Key]int, len(c.inv.Policies))
	for pi := range c.inv.Policies {
		holders[c.inv.Policies[pi].Key()] = pi
	}
	for pi, next := range c.next {
		if next == nil || next.Sel == c.inv.Policies[pi].Sel {
			continue
		}
		if _, taken := holders[next.Key()]; taken {
			c.refuse(SlugPolicyExists, nil,
				fmt.Sprintf("policy %v %v would become %v, and there is such a policy already", next.Dir, c.inv.Policies[pi].Sel, next.Sel),
				"delete one of the two first, or give the SA an explicit selector")
		}
		holders[next.Key()] = pi
	}
}
