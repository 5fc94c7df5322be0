package plan

import (
	"cmp"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// members are a group's SAs and policies by number. Both are sorted, so that the same tunnels come in the same order
// however the kernel dumped them.
type members struct {
	sas      []int32
	policies []int32
	heads    []int32 // the first SA of each group that was merged into this one
	after    []int
}

// gather collects what changes into groups.
func (c *computation) gather() {
	n := c.links.offset
	group := make([]int32, int(n)+len(c.inv.Policies)) // by root, from 1
	var sas, policies []int32                          // how many of each
	number := func(member int32) *int32 {
		g := &group[c.links.sets.find(member)]
		if *g == 0 {
			sas, policies = append(sas, 0), append(policies, 0)
			*g = int32(len(sas))
		}
		return g
	}
	takes := func(pi int) bool {
		p := &c.inv.Policies[pi]
		return c.next[pi] != nil || len(p.Templates) != 0 && !p.Tagged() && c.usesMoving(pi)
	}
	for i, v := range c.moved {
		if v != nil {
			sas[*number(int32(i))-1]++
		}
	}
	for pi := range c.inv.Policies {
		if takes(pi) {
			policies[*number(n + int32(pi))-1]++
		}
	}
	c.groups = make([]members, len(sas))
	allSAs, allPolicies := carver(sas), carver(policies)
	for g := range c.groups {
		c.groups[g] = members{sas: allSAs(g), policies: allPolicies(g)}
	}
	for i, v := range c.moved {
		if v != nil {
			g := &c.groups[*number(int32(i))-1]
			g.sas = append(g.sas, int32(i))
		}
	}
	for pi := range c.inv.Policies {
		if takes(pi) {
			g := &c.groups[*number(n + int32(pi))-1]
			g.policies = append(g.policies, int32(pi))
		}
	}
	spread(len(c.groups), func(from, to int) {
		for g := from; g < to; g++ {
			c.sort(&c.groups[g])
		}
	})
	slices.SortFunc(c.groups, c.compareGroups)
}

// carver returns for each of sizes an empty slice with room for so many, all from one array.
func carver(sizes []int32) func(i int) []int32 {
	total := 0
	for _, n := range sizes {
		total += int(n)
	}
	all := make([]int32, total)
	return func(i int) []int32 {
		s := all[:0:sizes[i]]
		all = all[sizes[i]:]
		return s
	}
}

// sort sorts the group's members: policies by index or, where their age counts, the oldest first.
func (c *computation) sort(g *members) {
	slices.SortFunc(g.sas, func(a, b int32) int { return compareSAs(&c.inv.SAs[a], &c.inv.SAs[b]) })
	slices.SortFunc(g.policies, func(a, b int32) int {
		if c.aged {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(c.inv.Policies[a].Index, c.inv.Policies[b].Index)
	})
	g.heads = g.sas[:min(1, len(g.sas))]
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
		cmp.Compare(a.Mark.Mask, b.Mark.Mask),
		cmp.Compare(a.Current.AddTime, b.Current.AddTime), // only an inventory that no kernel has comes this far
	)
}

// compareGroups puts groups with SAs first, by their first SA, and then those of policies alone, by index.
func (c *computation) compareGroups(a, b members) int {
	switch {
	case len(a.sas) != 0 && len(b.sas) != 0:
		return compareSAs(&c.inv.SAs[a.sas[0]], &c.inv.SAs[b.sas[0]])
	case len(a.sas) == 0 && len(b.sas) == 0:
		return cmp.Compare(c.inv.Policies[a.policies[0]].Index, c.inv.Policies[b.policies[0]].Index)
	}
	return len(b.sas) - len(a.sas)
}
