package plan

import (
	"slices"
)

// order puts SAs and groups into an order in which every place is free when its turn comes. An SA whose place is held
// by one that moves away itself waits for that one; a ring of such SAs is opened by a hop.
func (c *computation) order() {
	holder := c.claims()
	if holder == nil {
		return
	}
	c.merge(holder)
	for g := range c.groups {
		c.untangle(&c.groups[g], holder)
	}
	c.sortGroups(holder)
}

// merge makes one group of those that wait for each other, so that they are blocked and undone together.
func (c *computation) merge(holder []int32) {
	sets := newDisjoint(len(c.groups))
	for _, ring := range components(c.waits(holder)) {
		for _, g := range ring[1:] {
			sets.join(int32(ring[0]), int32(g))
		}
	}
	merged := make([]members, 0, len(c.groups))
	at := make([]int, len(c.groups)) // of a root among the merged
	for g, m := range c.groups {
		root := sets.find(int32(g))
		if int(root) == g {
			at[g] = len(merged)
			merged = append(merged, m)
			continue
		}
		into := &merged[at[root]]
		into.sas = append(into.sas, m.sas...)
		into.policies = append(into.policies, m.policies...)
		into.heads = append(into.heads, m.heads...)
	}
	c.groups = merged
}

// waits lists for each group the others that have to move first, in their order.
func (c *computation) waits(holder []int32) [][]int {
	of := make([]int, len(c.inv.SAs))
	for g := range c.groups {
		for _, i := range c.groups[g].sas {
			of[i] = g
		}
	}
	after := make([][]int, len(c.groups))
	for g := range c.groups {
		for _, i := range c.groups[g].sas {
			if h := holder[i]; h >= 0 && of[h] != g {
				after[g] = append(after[g], of[h])
			}
		}
		slices.Sort(after[g])
		after[g] = slices.Compact(after[g])
	}
	return after
}

// sortGroups brings the groups into an order in which those that others wait for come first, and otherwise as they
// were. There are no rings left among them.
func (c *computation) sortGroups(holder []int32) {
	after := c.waits(holder)
	sorted := make([]members, 0, len(after))
	place := make([]int, len(after))
	for _, ring := range components(after) {
		m := c.groups[ring[0]]
		for _, first := range after[ring[0]] {
			m.after = append(m.after, place[first])
		}
		slices.Sort(m.after)
		place[ring[0]] = len(sorted)
		sorted = append(sorted, m)
	}
	c.groups = sorted
}

// untangle sorts the SAs of a group so that each finds its place free, and opens rings with a hop.
func (c *computation) untangle(g *members, holder []int32) {
	at := make(map[int32]int, len(g.sas))
	for n, i := range g.sas {
		at[i] = n
	}
	after := make([][]int, len(g.sas))
	behind := make([]int, len(g.sas)) // who waits for it, itself if nobody
	for n, i := range g.sas {
		behind[n] = n
		if first, ok := at[holder[i]]; ok {
			after[n] = []int{first}
		}
	}
	for n := range after {
		for _, first := range after[n] {
			behind[first] = n
		}
	}
	sorted := make([]int32, 0, len(g.sas))
	var hopping []int32
	for _, ring := range components(after) {
		first := ring[0]
		if len(ring) == 1 {
			sorted = append(sorted, g.sas[first])
			continue
		}
		// The first SA steps aside. Then the one that waits for its place can move, and so on around.
		c.hop(c.moved[g.sas[first]])
		for n := behind[first]; n != first; n = behind[n] {
			sorted = append(sorted, g.sas[n])
		}
		hopping = append(hopping, g.sas[first])
	}
	g.sas = append(sorted, hopping...)
}
