package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rewriteAlone changes the templates of a policy that no SA satisfies, a trap's or an expired Child SA's: left at the
// old addresses it would make an IKE daemon negotiate there. The plan applies to it as to the SA that it asks for.
func (c *computation) rewriteAlone(p *xfrm.Policy, templates []xfrm.Template) (sel xfrm.Selector, ok bool) {
	sel = p.Sel
	var via *xfrm.Template
	for ti := range p.Templates {
		t := &p.Templates[ti]
		sa, dir := wanted(p, t, via)
		if t.Mode != xfrm.ModeTransport {
			via = t
		}
		src, movedSrc := c.mapping.apply(sa.Src, sa.ID.Family)
		dst, movedDst := c.mapping.apply(sa.ID.Dst, sa.ID.Family)
		if !movedSrc && !movedDst || !c.selected(&sa, dir) {
			continue
		}
		switch {
		case sa.Src.IsAny():
			src.family = dst.family
		case sa.ID.Dst.IsAny():
			dst.family = src.family
		}
		if src.family != dst.family {
			c.refuse(SlugMixedFamilies, nil,
				fmt.Sprintf("policy %v %v: its template's source would be %v and its destination %v", p.Dir, p.Sel,
					src.addr.IP(src.family), dst.addr.IP(dst.family)),
				"map both ends to one family")
			return sel, false
		}
		from, to := ends{sa.Src, sa.ID.Dst, sa.ID.Family}, ends{src.addr, dst.addr, dst.family}
		set := c.changes(&sa, dir)
		if sel, ok = c.selectAlone(p, sel, from, to, set.Selector, via != nil); !ok {
			return p.Sel, false
		}
		templates[ti] = moved(*t, from, to)
		if set.Reqid != nil && (t.Reqid != 0 || p.Dir == xfrm.DirOut) {
			templates[ti].Reqid = *set.Reqid
		}
	}
	return sel, true
}

// selectAlone returns what becomes of the policy's selector when the SA that it asks for goes from one place to another,
// and refuses where the policy is for the old addresses: at the new ones nothing would ask for an SA.
func (c *computation) selectAlone(p *xfrm.Policy, sel xfrm.Selector, from, to ends, set *SelectorChange, tunnel bool) (_ xfrm.Selector, ok bool) {
	if set != nil && set.Kind == SelectorHostToHost {
		if sel, ok = followHosts(sel, from, to); !ok {
			c.refuse(SlugTransportSelector, nil,
				fmt.Sprintf("policy %v %v: one end of it is a prefix, which can't follow to another address family", p.Dir, p.Sel),
				"exclude it from the override")
		}
		return sel, ok
	}
	if !tunnel {
		c.refuse(SlugTransportSelector, nil,
			fmt.Sprintf("policy %v %v is for the old addresses in transport mode: no traffic between the new ones would match it", p.Dir, p.Sel),
			"let selectors that are single hosts follow: overrides.set.selector: host-to-host; or exclude it")
		return sel, false
	}
	return sel, true
}

// wanted describes the SA that a template asks for. In transport mode without a tunnel it has the addresses of the
// policy's traffic, as far as those are single hosts.
func wanted(p *xfrm.Policy, t, via *xfrm.Template) (sa xfrm.SA, dir xfrm.SADir) {
	at := outerOf(p, t, via)
	if t.Mode == xfrm.ModeTransport && via == nil {
		at = hostsOf(&p.Sel)
	}
	return xfrm.SA{
		ID:  xfrm.SAID{Dst: at.dst, SPI: t.SPI, Family: at.family, Proto: t.Proto},
		Src: at.src, Reqid: t.Reqid, Mode: t.Mode, IfID: p.IfID, Mark: p.Mark,
	}, saDirOf(p.Dir)
}

// hostsOf returns the ends of the selector that are single hosts, and wildcards for those that are not.
func hostsOf(sel *xfrm.Selector) ends {
	at := ends{family: sel.Family}
	bits := uint8(sel.Family.Bits())
	if sel.SrcLen == bits {
		at.src = sel.Src
	}
	if sel.DstLen == bits {
		at.dst = sel.Dst
	}
	return at
}
