package ike

import (
	"net/netip"
	"slices"
	"strings"
)

// Succeeds reports whether c is what has come of the Child SA that moves: up, between its new addresses, in its mode, for its traffic, on its
// interface, and not one of those that the daemon had of it before. Whatever carries other traffic is another one's successor, and to
// retire the old one for it would leave what the old one carries without an SA and a policy.
//
// Traffic selectors that are the outer addresses themselves go along with them, as in transport mode.
func (m *Move) Succeeds(c *ChildSA) bool {
	if len(m.Old) == 0 {
		return false
	}
	old := &m.Old[0]
	return c.Up && c.Local == m.Local && c.Remote == m.Remote && c.Mode == old.Mode && c.Proto == old.Proto &&
		c.IfIDIn == old.IfIDIn && c.IfIDOut == old.IfIDOut &&
		sameTraffic(old.LocalTS, c.LocalTS, m.OldLocal, m.Local) && sameTraffic(old.RemoteTS, c.RemoteTS, m.OldRemote, m.Remote) &&
		!slices.ContainsFunc(m.Old, func(o ChildSA) bool { return o.In == c.In && o.Out == c.Out })
}

// sameTraffic compares traffic selectors of one side, whose outer address has changed from one to another.
func sameTraffic(old, now []string, from, to netip.Addr) bool {
	if slices.Equal(old, now) {
		return true
	}
	moved := make([]string, len(old))
	for i, s := range old {
		moved[i] = moveHost(s, from, to)
	}
	slices.Sort(moved)
	return slices.Equal(moved, now)
}

// moveHost returns a traffic selector, which ends with protocol and ports in brackets if it has some, with the new address if it was the old one.
func moveHost(ts string, from, to netip.Addr) string {
	host, rest, bracket := strings.Cut(ts, "[")
	if bracket {
		rest = "[" + rest
	}
	switch host {
	case from.String():
		return to.String() + rest
	case netip.PrefixFrom(from, from.BitLen()).String():
		return netip.PrefixFrom(to, to.BitLen()).String() + rest
	}
	return ts
}
