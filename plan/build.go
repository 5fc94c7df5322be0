package plan

import (
	"fmt"
	"strconv"
)

// build makes the plan of the numbers.
func (c *computation) build() {
	calls, changes := make([]int, len(c.groups)+1), make([]int, len(c.groups)+1) // how many come before each group's
	for g := range c.groups {
		calls[g+1] = calls[g] + len(c.groups[g].sas)
		changes[g+1] = changes[g] + len(c.groups[g].policies)
	}
	allCalls, allChanges := make([]Call, calls[len(c.groups)]), make([]PolicyChange, changes[len(c.groups)])
	c.plan.Groups = make([]Group, len(c.groups))
	spread(len(c.groups), func(from, to int) {
		for g := from; g < to; g++ {
			c.plan.Groups[g] = Group{
				Calls:    allCalls[calls[g]:calls[g+1]:calls[g+1]],
				Policies: allChanges[changes[g]:changes[g+1]:changes[g+1]],
				After:    c.groups[g].after,
			}
			c.fill(&c.plan.Groups[g], &c.groups[g])
		}
	})
	names := newNames(len(c.groups))
	for g := range c.plan.Groups {
		c.plan.Groups[g].Name = names.unique(c.plan.Groups[g].Name)
	}
	spread(len(c.groups), func(from, to int) {
		for g := from; g < to; g++ {
			c.remark(&c.plan.Groups[g])
		}
	})
}

// fill fills in what becomes of the group's members, and names it.
func (c *computation) fill(g *Group, m *members) {
	for n, i := range m.sas {
		v := c.moved[i]
		g.Calls[n] = Call{SA: v.sa, Dir: v.dir, Migration: v.m, Hop: v.hop}
	}
	for n, pi := range m.policies {
		g.Policies[n] = PolicyChange{Old: &c.inv.Policies[pi], New: c.next[pi]}
	}
	c.name(g, m)
}

// name names the group by what people know it by.
func (c *computation) name(g *Group, m *members) {
	b := make([]byte, 0, 64)
	if len(g.Calls) == 0 {
		g.Local, g.Remote = policyEnds(g.Policies[0].Old)
		b = appendEnds(b, g)
		b = append(b, " policies"...)
	} else {
		first := &g.Calls[0]
		if len(m.heads) > 0 {
			v := c.moved[m.heads[0]]
			first = &Call{SA: v.sa, Dir: v.dir}
		}
		g.Local, g.Remote = first.Local(), first.Remote()
		b = appendEnds(b, g)
		if first.SA.Reqid != 0 {
			b = strconv.AppendUint(append(b, " reqid "...), uint64(first.SA.Reqid), 10)
		} else {
			b = fmt.Appendf(b, " spi %v", first.SA.ID.SPI)
		}
		if len(m.heads) > 1 {
			b = fmt.Appendf(b, " and %d more", len(m.heads)-1)
		}
	}
	g.Name = string(b)
}

func appendEnds(b []byte, g *Group) []byte {
	b = g.Local.AppendTo(b)
	b = append(b, '-')
	return g.Remote.AppendTo(b)
}
