package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// mapping is an entry of renumber with the nodes it was read from.
type mapping struct {
	from, to         netip.Prefix
	fromNode, toNode *yaml.Node
}

// renumberFields hold the entry's nodes; both are needed to check either.
var renumberFields = fields[mapping]{
	"from": func(_ *loader, n *yaml.Node, m *mapping) { m.fromNode = n },
	"to":   func(_ *loader, n *yaml.Node, m *mapping) { m.toNode = n },
}

// renumber decodes the address map and checks its entries, alone and together.
func (l *loader) renumber(n *yaml.Node) []plan.Renumber {
	out := make([]plan.Renumber, 0, len(n.Content))
	maps := make([]mapping, 0, len(n.Content))
	for _, entry := range l.entries(n) {
		if m, ok := l.mapping(entry); ok {
			maps = append(maps, m)
			out = append(out, plan.Renumber{From: m.from, To: m.to, Pos: pos(entry)})
		}
	}
	l.checkTwice(maps, duplicateFrom, "from", func(m *mapping) (netip.Prefix, *yaml.Node) { return m.from, m.fromNode })
	l.checkTwice(maps, duplicateTo, "to", func(m *mapping) (netip.Prefix, *yaml.Node) { return m.to, m.toNode })
	l.checkCollisions(maps)
	return out
}

// mapping reads one entry; ok is false if something is wrong with it.
func (l *loader) mapping(entry *yaml.Node) (m mapping, ok bool) {
	decode(l, entry, renumberFields, &m)
	var fromOK, toOK bool
	if m.fromNode != nil {
		m.from, fromOK = l.outer(m.fromNode)
	}
	if m.toNode != nil {
		m.to, toOK = l.outer(m.toNode)
	}
	if !fromOK || !toOK {
		return m, false
	}
	hosts := m.from.IsSingleIP() && m.to.IsSingleIP()
	sameFamily := m.from.Addr().Is4() == m.to.Addr().Is4()
	switch {
	case hosts && !sameFamily:
		return m, true
	case !sameFamily:
		l.refuse(m.toNode, familyChange, fmt.Sprintf("only a host can change its address family, and from is %s", m.from),
			"write one entry for each host, or a prefix of the family of from")
	case m.from.Bits() != m.to.Bits():
		l.refuse(m.toNode, lengthMismatch, fmt.Sprintf("from is %s and to is a /%d, so host bits could not be kept", m.from, m.to.Bits()),
			"write two prefixes of one length")
	case m.from == m.to:
		l.refuse(m.toNode, noChange, "from and to are the same", "write the new prefix, or remove the entry")
	default:
		return m, true
	}
	return m, false
}

// checkTwice refuses entries, but for the first, that have one prefix in common.
func (l *loader) checkTwice(maps []mapping, slug Slug, key string, of func(*mapping) (netip.Prefix, *yaml.Node)) {
	first := make(map[netip.Prefix]int, len(maps))
	for i := range maps {
		p, n := of(&maps[i])
		line, taken := first[p]
		if !taken {
			first[p] = n.Line
			continue
		}
		l.refuse(n, slug, "another entry has this "+key+" already", fmt.Sprintf("keep one; the first is on line %d", line))
	}
}

// checkCollisions refuses maps that make two addresses one: their tunnels would end up at one gateway.
//
// Entries that change the family are left out: a gateway of both families that goes on with one of them has two old
// addresses and one new one, and its prefixes may well be mapped beside it.
func (l *loader) checkCollisions(maps []mapping) {
	usable := make([]mapping, 0, len(maps))
	for _, m := range maps {
		if !l.bad[m.fromNode] && !l.bad[m.toNode] {
			usable = append(usable, m)
		}
	}
	images := slices.DeleteFunc(segments(usable), func(s segment) bool {
		return s.of.from.Addr().Is4() != s.of.to.Addr().Is4()
	})
	sort.Slice(images, func(i, j int) bool { return images[i].first().Less(images[j].first()) })
	furthest := 0
	for i := 1; i < len(images); i++ {
		a, b := images[furthest], images[i]
		if a.last().Less(b.first()) {
			furthest = i
			continue
		}
		if a.of.toNode.Line > b.of.toNode.Line || a.of.toNode.Line == b.of.toNode.Line && a.of.toNode.Column > b.of.toNode.Column {
			a, b = b, a
		}
		if !l.bad[b.of.toNode] {
			shared := images[i].first()
			l.refuse(b.of.toNode, addressCollision, fmt.Sprintf("both %s and %s would become %s (the other entry is on line %d)",
				a.source(shared), b.source(shared), shared, a.of.toNode.Line), "write a prefix that no other entry maps to")
		}
		if images[furthest].last().Less(images[i].last()) {
			furthest = i
		}
	}
}
