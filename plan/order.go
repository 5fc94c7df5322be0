package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// order puts calls and groups into an order in which every target tuple is free when its turn comes. A tuple that is
// held by an SA that moves away itself makes its call wait for the other; a ring of such calls is opened by a hop; one
// that is held by an SA that stays, or wanted twice, is refused.
//
// A tuple has one holder and is wanted once, so that calls form chains and rings and nothing more tangled.
func (c *computation) order() {
	all := c.wants()
	if len(all) == 0 {
		return
	}
	c.merge(all)
	for gi := range c.plan.Groups {
		c.plan.Groups[gi].untangle(all, c.freeHop)
	}
	c.sortGroups(all)
}

// wants maps each target tuple that an SA of the plan holds to the tuple of the call that wants it.
func (c *computation) wants() map[tuple]tuple {
	holders := make(map[tuple]*xfrm.SA, len(c.inv.SAs))
	for i := range c.inv.SAs {
		holders[tupleOf(&c.inv.SAs[i])] = &c.inv.SAs[i]
	}
	targets := make(map[tuple]*Call)
	var all map[tuple]tuple
	for gi := range c.plan.Groups {
		g := &c.plan.Groups[gi]
		for i := range g.Calls {
			call := &g.Calls[i]
			from, to := tupleOf(&call.SA), targetTuple(&call.Migration)
			if other := targets[to]; other != nil {
				c.plan.refuse(SlugSameTarget, g.Name,
					fmt.Sprintf("SA %v and SA %v would both become %v", other.SA.ID, call.SA.ID, call.Migration.Target()),
					"exclude one of them, or re-key it first so that its SPI changes")
			}
			targets[to] = call
			holder := holders[to]
			switch {
			case holder == nil || from == to:
			case c.callOf(to) == nil:
				c.plan.refuse(SlugConflict, g.Name,
					fmt.Sprintf("SA %v would become %v, which is taken by the SA from %v (reqid %d)",
						call.SA.ID, call.Migration.Target(), holder.SrcIP(), holder.Reqid),
					"re-key one of the two so that its SPI changes, or exclude this one")
			default:
				if all == nil {
					all = make(map[tuple]tuple)
				}
				all[to] = from
			}
		}
	}
	return all
}

// callOf returns the call of the SA at t, or nil if it stays.
func (c *computation) callOf(t tuple) *Call {
	if c.byTuple == nil {
		c.byTuple = make(map[tuple]*Call)
		for _, call := range c.calls {
			if call != nil {
				c.byTuple[tupleOf(&call.SA)] = call
			}
		}
	}
	return c.byTuple[t]
}

// merge makes one group of those that wait for each other, so that they are blocked and undone together.
func (c *computation) merge(wants map[tuple]tuple) {
	sets := newDisjoint(len(c.plan.Groups))
	for _, ring := range components(c.waits(wants)) {
		for _, gi := range ring[1:] {
			sets.join(int32(ring[0]), int32(gi))
		}
	}
	merged := make([]Group, 0, len(c.plan.Groups))
	at := make(map[int32]int)
	for gi := range c.plan.Groups {
		g := c.plan.Groups[gi]
		root := sets.find(int32(gi))
		if i, ok := at[root]; ok {
			merged[i].Name += " + " + g.Name
			merged[i].Calls = append(merged[i].Calls, g.Calls...)
			merged[i].Policies = append(merged[i].Policies, g.Policies...)
			continue
		}
		at[root] = len(merged)
		merged = append(merged, g)
	}
	c.plan.Groups = merged
}

// waits lists for each group the others that have to move first.
func (c *computation) waits(wants map[tuple]tuple) [][]int {
	groupOf := make(map[tuple]int)
	for gi := range c.plan.Groups {
		for i := range c.plan.Groups[gi].Calls {
			groupOf[tupleOf(&c.plan.Groups[gi].Calls[i].SA)] = gi
		}
	}
	after := make([][]int, len(c.plan.Groups))
	for holder, wanting := range wants {
		gi, first := groupOf[wanting], groupOf[holder]
		if gi != first && !slices.Contains(after[gi], first) {
			after[gi] = append(after[gi], first)
		}
	}
	for _, a := range after {
		slices.Sort(a) // not the map's order
	}
	return after
}

// sortGroups brings the groups into an order in which those that others wait for come first, and otherwise as they
// were. There are no rings left among them.
func (c *computation) sortGroups(wants map[tuple]tuple) {
	after := c.waits(wants)
	var sorted []Group
	place := make([]int, len(after))
	for _, ring := range components(after) {
		gi := ring[0]
		g := c.plan.Groups[gi]
		for _, first := range after[gi] {
			g.After = append(g.After, place[first])
		}
		slices.Sort(g.After)
		place[gi] = len(sorted)
		sorted = append(sorted, g)
	}
	c.plan.Groups = sorted
}

// untangle sorts the calls of a group so that each finds its target free, and opens rings with a hop.
func (g *Group) untangle(wants map[tuple]tuple, hop func(*Call) *xfrm.SAID) {
	at := make(map[tuple]int, len(g.Calls))
	for i := range g.Calls {
		at[tupleOf(&g.Calls[i].SA)] = i
	}
	after := make([][]int, len(g.Calls))
	for i := range g.Calls {
		to := targetTuple(&g.Calls[i].Migration)
		if holder, ok := at[to]; ok && holder != i && wants[to] == tupleOf(&g.Calls[i].SA) {
			after[i] = append(after[i], holder)
		}
	}
	var sorted, hopping []Call
	for _, ring := range components(after) {
		if len(ring) == 1 {
			sorted = append(sorted, g.Calls[ring[0]])
			continue
		}
		// The first call's SA steps aside. Then the one that wants its place can move, and so on around.
		first := g.Calls[ring[0]]
		first.Hop = hop(&first)
		for place := tupleOf(&first.SA); ; {
			next := at[wants[place]]
			if next == ring[0] {
				break
			}
			sorted = append(sorted, g.Calls[next])
			place = tupleOf(&g.Calls[next].SA)
		}
		hopping = append(hopping, first)
	}
	g.Calls = append(sorted, hopping...)
}

// Where SAs step aside to: addresses that are never anybody's outer address. An SA is there only while its group is
// blocked.
var (
	hopIPv4 = netip.MustParseAddr("240.0.0.1") // reserved, RFC 1112 section 4
	hopIPv6 = netip.MustParseAddr("100::1")    // discard-only, RFC 6666
)

// freeHop picks a tuple to step aside to that no SA has and no other hop takes.
func (c *computation) freeHop(call *Call) *xfrm.SAID {
	a := hopIPv6
	if call.SA.ID.Family == xfrm.FamilyIPv4 {
		a = hopIPv4
	}
	if c.taken == nil {
		c.taken = make(map[xfrm.SAID]bool, len(c.inv.SAs))
		for i := range c.inv.SAs {
			c.taken[c.inv.SAs[i].ID] = true
		}
	}
	id := call.SA.ID
	for id.Dst = xfrm.AddressFrom(a); c.taken[id]; id.Dst = xfrm.AddressFrom(a) {
		a = a.Next()
	}
	c.taken[id] = true
	return &id
}
