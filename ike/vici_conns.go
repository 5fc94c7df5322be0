package ike

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/strongswan/govici/vici"
)

// conn is a child of a connection that charon has loaded.
type conn struct {
	connection, child string
	local, remote     []string // addresses, prefixes, ranges or names, or %any
	mode              string
	localTS, remoteTS []string
}

// conns lists the children of all connections that are loaded.
func (v *VICI) conns(ctx context.Context) ([]conn, error) {
	_, events, err := v.ask(ctx, "list-conns", "list-conn", nil)
	if err != nil {
		return nil, err
	}
	var all []conn
	for _, e := range events {
		for _, name := range e.Keys() {
			m, ok := e.Get(name).(*vici.Message)
			if !ok {
				continue
			}
			children := section(m, "children")
			if children == nil {
				continue
			}
			for _, child := range children.Keys() {
				c, ok := children.Get(child).(*vici.Message)
				if !ok {
					continue
				}
				all = append(all, conn{
					connection: name, child: child, local: list(m, "local_addrs"), remote: list(m, "remote_addrs"),
					mode: text(c, "mode"), localTS: list(c, "local-ts"), remoteTS: list(c, "remote-ts"),
				})
			}
		}
	}
	return all, nil
}

// has reports whether a Child SA is of the connection and child.
func (c *conn) has(sa *ChildSA) bool { return sa.Connection == c.connection && sa.Child == c.child }

// How well a connection's addresses go with one.
const (
	fitsNot = iota
	fitsAny // it takes any address
	fits    // it names the address
)

func fit(addrs []string, a netip.Addr) int {
	best := fitsNot
	for _, s := range addrs {
		switch s {
		case a.String():
			return fits
		case "%any", "0.0.0.0", "::", "0.0.0.0/0", "::/0", "%any4", "%any6":
			best = max(best, fitsAny)
			continue
		}
		if p, err := netip.ParsePrefix(s); err == nil && p.Contains(a) {
			best = fits
		}
	}
	if len(addrs) == 0 {
		best = fitsAny
	}
	return best
}

// successor picks the connection and child that Establish brings up: at the new addresses, with the traffic selectors and the mode of the
// old one. Of several the one that says most about addresses, then the one whose child has the old one's name.
func (v *VICI) successor(ctx context.Context, m *Move) (*conn, error) {
	all, err := v.conns(ctx)
	if err != nil {
		return nil, err
	}
	return v.pick(all, m)
}

// pick picks it of those that are loaded.
func (v *VICI) pick(all []conn, m *Move) (*conn, error) {
	if len(m.Old) == 0 {
		return nil, fmt.Errorf("%v: group %s has no Child SA of its", v, m.Group)
	}
	old := m.Old[0]
	mode, localTS, remoteTS := strings.ToUpper(old.Mode.String()), old.LocalTS, old.RemoteTS
	for i := range all {
		if c := &all[i]; c.connection == old.Connection && c.child == old.Child {
			mode, localTS, remoteTS = c.mode, c.localTS, c.remoteTS
		}
	}
	var best []*conn
	most := 0
	for i := range all {
		c := &all[i]
		local, remote := fit(c.local, m.Local), fit(c.remote, m.Remote)
		if local == fitsNot || remote == fitsNot || c.mode != mode || !slices.Equal(c.localTS, localTS) || !slices.Equal(c.remoteTS, remoteTS) {
			continue
		}
		if c.connection == old.Connection && !m.Lost {
			continue // its IKE SA would be used, at the old addresses
		}
		score := 4*remote + 2*local
		if c.child == old.Child {
			score++
		}
		switch {
		case score > most:
			best, most = []*conn{c}, score
		case score == most:
			best = append(best, c)
		}
	}
	switch len(best) {
	case 1:
		return best[0], nil
	case 0:
		return nil, fmt.Errorf("%v has no connection from %v to %v for what %s/%s carries: load one of another name beside it, with local_addrs = %v, "+
			"remote_addrs = %v and the same traffic selectors (swanctl --load-conns)", v, m.Local, m.Remote, old.Connection, old.Child, m.Local, m.Remote)
	}
	names := make([]string, len(best))
	for i, c := range best {
		names[i] = c.connection + "/" + c.child
	}
	return nil, fmt.Errorf("%v has several connections from %v to %v for what %s/%s carries, and nothing tells which: %s; unload all but one",
		v, m.Local, m.Remote, old.Connection, old.Child, strings.Join(names, ", "))
}

// Check looks for the successor.
func (v *VICI) Check(ctx context.Context, m *Move) error {
	if err := m.single(); err != nil {
		return err
	}
	all, err := v.loaded.get(func() ([]conn, error) { return v.conns(ctx) })
	if err == nil {
		_, err = v.pick(all, m)
	}
	return err
}
