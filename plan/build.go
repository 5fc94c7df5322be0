package plan

import (
	"fmt"
	"strconv"
)

// build makes the plan of the numbers.
func (c *computation) build() {
	calls, changes := 0, 0
	for g := range c.groups {
		calls += len(c.groups[g].sas)
		changes += len(c.groups[g].policies)
	}
	allCalls, allChanges := make([]Call, 0, calls), make([]PolicyChange, 0, changes)
	c.plan.Groups = make([]Group, len(c.groups))
	names := newNames(len(c.groups))
	for gi := range c.groups {
		m, g := &c.groups[gi], &c.plan.Groups[gi]
		firstCall, firstChange := len(allCalls), len(allChanges)
		for _, i := range m.sas {
			v := c.moved[i]
			allCalls = append(allCalls, Call{SA: v.sa, Dir: v.dir, Migration: v.m, Hop: v.hop})
		}
		for _, pi := range m.policies {
			allChanges = append(allChanges, PolicyChange{Old: &c.inv.Policies[pi], New: c.next[pi]})
		}
		g.Calls = allCalls[firstCall:len(allCalls):len(allCalls)]
		g.Policies = allChanges[firstChange:len(allChanges):len(allChanges)]
		g.After = m.after
		c.name(g, m)
		g.Name = names.unique(g.Name)
		c.remark(g)
	}
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
