package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// computation is the state of one Compute.
type computation struct {
	doc     *Document
	inv     *Inventory
	mapping *mapping
	links   *links
	calls   []*Call // by SA
	plan    *Plan

	byTuple map[tuple]*Call    // of SAs that move; see callOf
	taken   map[xfrm.SAID]bool // see freeHop
}

// Compute works out what the document means for what the inventory holds. It never fails: what keeps the plan from
// being applied stands in its Refusals.
func Compute(doc *Document, inv *Inventory) *Plan {
	c := &computation{
		doc: doc, inv: inv,
		mapping: newMapping(doc.Renumber),
		links:   link(inv),
		calls:   make([]*Call, len(inv.SAs)),
		plan:    &Plan{Name: doc.Metadata.Name, Digest: doc.Digest},
	}
	for i := range inv.SAs {
		if sa := &inv.SAs[i]; !sa.Larval() {
			c.calls[i] = c.call(sa, c.links.dirs[i])
		}
	}
	c.orphans()
	c.groups()
	c.order()
	c.plan.Waves = waves(doc.Waves, len(c.plan.Groups))
	return c.plan
}

// orphans refuses to work beside block policies that an earlier run left behind.
func (c *computation) orphans() {
	for i := range c.inv.Policies {
		if p := &c.inv.Policies[i]; p.Tagged() {
			c.plan.refuse(SlugBlockOrphan, "",
				fmt.Sprintf("policy %v %v (index %d) was left behind by an earlier run", p.Dir, p.Sel, p.Index),
				"run `xfrm-plan recover` first")
		}
	}
}

// groups collects what changes into groups, sorted so that the same tunnels come in the same order however the kernel
// dumped them.
func (c *computation) groups() {
	byRoot := make(map[int32]*Group)
	group := func(member int32) *Group {
		root := c.links.sets.find(member)
		g := byRoot[root]
		if g == nil {
			g = new(Group)
			byRoot[root] = g
		}
		return g
	}
	for i, call := range c.calls {
		if call != nil {
			g := group(int32(i))
			g.Calls = append(g.Calls, *call)
		}
	}
	for pi := range c.inv.Policies {
		p := &c.inv.Policies[pi]
		if len(p.Templates) == 0 || p.Tagged() {
			continue
		}
		next := c.rewrite(pi)
		if next == nil && !c.usesMoving(pi) {
			continue
		}
		g := group(c.links.offset + int32(pi))
		g.Policies = append(g.Policies, PolicyChange{Old: *p, New: next})
	}
	c.plan.Groups = make([]Group, 0, len(byRoot))
	for _, g := range byRoot {
		g.sort()
		c.plan.Groups = append(c.plan.Groups, *g)
	}
	slices.SortFunc(c.plan.Groups, compareGroups)
	for i := range c.plan.Groups {
		c.describe(&c.plan.Groups[i])
	}
}

func (c *computation) usesMoving(pi int) bool {
	return slices.ContainsFunc(c.links.users[pi], func(i int32) bool { return c.calls[i] != nil })
}

func (g *Group) sort() {
	slices.SortFunc(g.Calls, func(a, b Call) int { return compareSAs(&a.SA, &b.SA) })
	slices.SortFunc(g.Policies, func(a, b PolicyChange) int { return cmp.Compare(a.Old.Index, b.Old.Index) })
}

func compareSAs(a, b *xfrm.SA) int {
	return cmp.Or(
		cmp.Compare(a.Reqid, b.Reqid),
		cmp.Compare(a.ID.Family, b.ID.Family),
		slices.Compare(a.ID.Dst[:], b.ID.Dst[:]),
		slices.Compare(a.Src[:], b.Src[:]),
		cmp.Compare(a.ID.SPI, b.ID.SPI),
		cmp.Compare(a.ID.Proto, b.ID.Proto),
		cmp.Compare(a.Mark.Value, b.Mark.Value),
	)
}

// compareGroups puts groups with SAs first, by their first SA, and then those of policies alone, by index.
func compareGroups(a, b Group) int {
	switch {
	case len(a.Calls) != 0 && len(b.Calls) != 0:
		return compareSAs(&a.Calls[0].SA, &b.Calls[0].SA)
	case len(a.Calls) == 0 && len(b.Calls) == 0:
		return cmp.Compare(a.Policies[0].Old.Index, b.Policies[0].Old.Index)
	}
	return len(b.Calls) - len(a.Calls)
}

// describe names the group by what people know it by, and warns of what they should know about it.
func (c *computation) describe(g *Group) {
	if len(g.Calls) == 0 {
		t := &g.Policies[0].Old.Templates[0]
		g.Local, g.Remote = t.SrcIP(), t.DstIP()
		if g.Policies[0].Old.Dir != xfrm.DirOut {
			g.Local, g.Remote = g.Remote, g.Local
		}
		g.Name = fmt.Sprintf("%v-%v policies", g.Local, g.Remote)
		c.plan.warn(SlugPolicyAlone, g.Name, "no SA uses these policies; they are rewritten so that nothing negotiates at the old addresses")
		return
	}
	first := &g.Calls[0]
	g.Local, g.Remote = first.Local(), first.Remote()
	g.Name = fmt.Sprintf("%v-%v", g.Local, g.Remote)
	if first.SA.Reqid != 0 {
		g.Name += fmt.Sprintf(" reqid %d", first.SA.Reqid)
	} else {
		g.Name += fmt.Sprintf(" spi %v", first.SA.ID.SPI)
	}
	for i := range g.Calls {
		if g.Calls[i].Dir == xfrm.SADirUnset {
			c.plan.warn(SlugUnknownDirection, g.Name, fmt.Sprintf("SA %v: nothing tells its direction", g.Calls[i].SA.ID))
		}
	}
	for i := range g.Policies {
		p := &g.Policies[i].Old
		if g.Policies[i].New != nil && p.Limits.HardAdd != 0 {
			c.plan.warn(SlugPolicyLifetime, g.Name, fmt.Sprintf("policy %v %v: its lifetime of %ds starts anew", p.Dir, p.Sel, p.Limits.HardAdd))
		}
	}
}
