package plan

import (
	"fmt"
	"slices"
)

// order finds the calls whose target tuple is taken. If the occupant moves away itself, its group goes first; if it
// stays, or two calls have one target, the plan is refused.
func (c *computation) order() {
	occupants := make(map[tuple]int, len(c.inv.SAs))
	for i := range c.inv.SAs {
		occupants[tupleOf(&c.inv.SAs[i])] = i
	}
	moving := make(map[tuple]int) // by the tuple that it leaves: the group
	for gi := range c.plan.Groups {
		for i := range c.plan.Groups[gi].Calls {
			moving[tupleOf(&c.plan.Groups[gi].Calls[i].SA)] = gi
		}
	}
	targets := make(map[tuple]*Call)
	for gi := range c.plan.Groups {
		g := &c.plan.Groups[gi]
		for i := range g.Calls {
			call := &g.Calls[i]
			to := targetTuple(&call.Migration)
			if other := targets[to]; other != nil {
				c.plan.refuse(SlugSameTarget, g.Name,
					fmt.Sprintf("SA %v and SA %v would both become %v", other.SA.ID, call.SA.ID, call.Migration.Target()),
					"exclude one of them, or re-key it first so that its SPI changes")
			}
			targets[to] = call
			c.orderAfter(gi, call, to, occupants, moving)
		}
	}
	c.refuseCycles()
}

func (c *computation) orderAfter(gi int, call *Call, to tuple, occupants, moving map[tuple]int) {
	occupant, taken := occupants[to]
	if !taken || to == tupleOf(&call.SA) {
		return
	}
	g := &c.plan.Groups[gi]
	other, moves := moving[to]
	switch {
	case !moves:
		sa := &c.inv.SAs[occupant]
		c.plan.refuse(SlugConflict, g.Name,
			fmt.Sprintf("SA %v would become %v, which is taken by the SA from %v (reqid %d)",
				call.SA.ID, call.Migration.Target(), sa.SrcIP(), sa.Reqid),
			"re-key one of the two so that its SPI changes, or exclude this one")
	case other == gi:
		c.plan.refuse(SlugCycle, g.Name, fmt.Sprintf("SA %v would take the place of another SA of its own group", call.SA.ID),
			"re-key the Child SA so that its SPIs differ")
	case !slices.Contains(g.After, other):
		g.After = append(g.After, other)
	}
}

// refuseCycles finds groups that wait for each other.
func (c *computation) refuseCycles() {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(c.plan.Groups))
	var visit func(gi int)
	visit = func(gi int) {
		state[gi] = open
		for _, next := range c.plan.Groups[gi].After {
			switch state[next] {
			case unseen:
				visit(next)
			case open:
				c.plan.refuse(SlugCycle, c.plan.Groups[gi].Name,
					fmt.Sprintf("it would take the place of %s and the other way round", c.plan.Groups[next].Name),
					"split the plan into two, by way of an address that is free")
			}
		}
		state[gi] = done
	}
	for gi := range c.plan.Groups {
		if state[gi] == unseen {
			visit(gi)
		}
	}
}
