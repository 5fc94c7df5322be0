package ike

import (
	"fmt"
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
	return len(m.Old) != 0 && m.cameUp(c) && m.unlike(c) == ""
}

// cameUp reports whether c is up between the new addresses and not one of those that the daemon had before.
func (m *Move) cameUp(c *ChildSA) bool {
	return c.Up && c.Local == m.Local && c.Remote == m.Remote && !oneOf(m.Old, c)
}

// unlike says what keeps c from carrying what the Child SA that moves does; nothing does if it is empty.
func (m *Move) unlike(c *ChildSA) string {
	old := &m.Old[0]
	switch {
	case c.Proto != old.Proto:
		return fmt.Sprintf("as %v and not as %v", c.Proto, old.Proto)
	case c.Mode != old.Mode:
		return fmt.Sprintf("in %v mode and not in %v mode", c.Mode, old.Mode)
	case c.IfIDIn != old.IfIDIn, c.IfIDOut != old.IfIDOut:
		return fmt.Sprintf("with if_id %d in and %d out and not with %d and %d", c.IfIDIn, c.IfIDOut, old.IfIDIn, old.IfIDOut)
	case !slices.Equal(c.LocalTS, old.LocalTS) && !slices.Equal(c.LocalTS, moved(old.LocalTS, m.OldLocal, m.Local)),
		!slices.Equal(c.RemoteTS, old.RemoteTS) && !slices.Equal(c.RemoteTS, moved(old.RemoteTS, m.OldRemote, m.Remote)):
		return fmt.Sprintf("with the traffic selectors %s and not with %s", traffic(c), traffic(old))
	}
	return ""
}

// narrowed reports whether c is what came up instead of the successor because the peer has agreed to part of the traffic only. What carries nothing
// but other traffic is somebody else's.
func (m *Move) narrowed(c *ChildSA) bool {
	if len(m.Old) == 0 || !m.cameUp(c) || m.Succeeds(c) || len(c.LocalTS) == 0 || len(c.RemoteTS) == 0 {
		return false
	}
	old := &m.Old[0]
	return covered(append(moved(old.LocalTS, m.OldLocal, m.Local), old.LocalTS...), c.LocalTS) &&
		covered(append(moved(old.RemoteTS, m.OldRemote, m.Remote), old.RemoteTS...), c.RemoteTS)
}

// covered reports whether each of some traffic selectors is part of one of others.
func covered(others, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool {
		return !slices.ContainsFunc(others, func(o string) bool { return o == s || partOf(o, s) })
	})
}

// partOf compares traffic selectors that are prefixes, with protocol and ports in brackets if they have some.
func partOf(whole, part string) bool {
	host, rest := splitTS(whole)
	partHost, partRest := splitTS(part)
	w, err := netip.ParsePrefix(host)
	p, partErr := netip.ParsePrefix(partHost)
	return err == nil && partErr == nil && w.Bits() <= p.Bits() && w.Contains(p.Addr()) && (rest == "" || rest == partRest)
}

// traffic shows the traffic selectors of a Child SA.
func traffic(c *ChildSA) string {
	return strings.Join(c.LocalTS, " ") + " === " + strings.Join(c.RemoteTS, " ")
}

// moved returns the traffic selectors of one side, whose outer address has changed from one to another.
func moved(ts []string, from, to netip.Addr) []string {
	all := make([]string, len(ts))
	for i, s := range ts {
		all[i] = moveHost(s, from, to)
	}
	slices.Sort(all)
	return all
}

// moveHost returns a traffic selector with the new address if it was the old one.
func moveHost(ts string, from, to netip.Addr) string {
	host, rest := splitTS(ts)
	switch host {
	case from.String():
		return to.String() + rest
	case netip.PrefixFrom(from, from.BitLen()).String():
		return netip.PrefixFrom(to, to.BitLen()).String() + rest
	}
	return ts
}

// splitTS splits a traffic selector before its protocol and ports, which are in brackets and may be missing.
func splitTS(ts string) (host, rest string) {
	if at := strings.Index(ts, "["); at >= 0 {
		return ts[:at], ts[at:]
	}
	return ts, ""
}

// youngest returns the one that came up last of those that fit, or nil.
func youngest(all []ChildSA, fit func(*ChildSA) bool) (found *ChildSA) {
	for i := range all {
		c := &all[i]
		if fit(c) && (found == nil || len(c.ID) > len(found.ID) || len(c.ID) == len(found.ID) && c.ID > found.ID) {
			found = c
		}
	}
	return found
}

func oneOf(some []ChildSA, c *ChildSA) bool {
	return slices.ContainsFunc(some, func(o ChildSA) bool { return o.In == c.In && o.Out == c.Out && o.Proto == c.Proto })
}

// single refuses per-CPU SAs: a daemon that sets one of them up negotiates the others when packets ask for them, and by then nobody tells it to retire
// them where the move is undone.
func (m *Move) single() error {
	if slices.ContainsFunc(m.SAs, func(s SA) bool { return s.PerCPU }) {
		return fmt.Errorf("group %s has per-CPU SAs, which a daemon sets up one by one as packets ask for them: it can't be told to set up what the kernel has", m.Group)
	}
	return nil
}
