package plan

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rewriteAlone changes the templates of a policy that no SA satisfies, a trap's or an expired Child SA's: left at the
// old addresses it would make an IKE daemon negotiate there. The plan applies to it as to the SA that it asks for.
func (c *computation) rewriteAlone(p *xfrm.Policy, templates []xfrm.Template) (sel xfrm.Selector, ok bool) {
	sel = p.Sel
	for ti := range templates {
		t := &templates[ti]
		sa, dir := wanted(p, t)
		src, movedSrc := c.mapping.apply(sa.Src, sa.ID.Family)
		dst, movedDst := c.mapping.apply(sa.ID.Dst, sa.ID.Family)
		if !movedSrc && !movedDst || !c.doc.Select.selected(&sa, dir) {
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
		set := c.doc.changes(&sa, dir)
		if set.Selector != nil && set.Selector.Kind == SelectorHostToHost {
			from, to := ends{sa.Src, sa.ID.Dst, sa.ID.Family}, ends{src.addr, dst.addr, dst.family}
			if sel, ok = followHosts(sel, from, to); !ok {
				c.refuse(SlugTransportSelector, nil,
					fmt.Sprintf("policy %v %v: one end of it is a prefix, which can't follow to another address family", p.Dir, p.Sel),
					"exclude it from the override")
				return p.Sel, false
			}
		}
		t.Src, t.Dst, t.Family = src.addr, dst.addr, dst.family
		if set.Reqid != nil && (t.Reqid != 0 || p.Dir == xfrm.DirOut) {
			t.Reqid = *set.Reqid
		}
	}
	return sel, true
}

// wanted describes the SA that a template asks for.
func wanted(p *xfrm.Policy, t *xfrm.Template) (sa xfrm.SA, dir xfrm.SADir) {
	return xfrm.SA{
		ID:  xfrm.SAID{Dst: t.Dst, SPI: t.SPI, Family: t.Family, Proto: t.Proto},
		Src: t.Src, Reqid: t.Reqid, Mode: t.Mode, IfID: p.IfID, Mark: p.Mark,
	}, saDirOf(p.Dir)
}
