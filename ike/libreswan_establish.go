package ike

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check looks for the successor, and refuses even so: Retire makes pluto delete the successor's policies for a moment, which a run that watches the SPD
// takes for somebody else's doing, blocks and undoes.
func (l *Libreswan) Check(ctx context.Context, m *Move) error {
	if _, err := l.successor(ctx, m); err != nil {
		return err
	}
	return fmt.Errorf("%v deletes the policies of a new connection when it takes the old one with the same subnets down, so that it can't follow within a run: "+
		"move with ike: {follow: none}, then by hand ipsec up, ipsec down the old one, and ipsec whack --rekey-child --name the new one", l)
}

// Establish initiates the successor. As with strongSwan the peer is given half of the time to do it where this host did not bring the old one up.
func (l *Libreswan) Establish(ctx context.Context, m *Move) (ChildSA, error) {
	next, err := l.successor(ctx, m)
	if err != nil {
		return ChildSA{}, err
	}
	up, err := l.up(ctx, next, m)
	if err != nil || up != nil {
		return value(up), err
	}
	if !m.Lost && !m.Old[0].Initiator {
		first, cancel := context.WithTimeout(ctx, half(ctx))
		up, err = l.await(first, next, m)
		cancel()
		if err == nil {
			return *up, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return ChildSA{}, err
		}
	}
	if _, err := l.ask(ctx, "--initiate", "--name", next.name, "--asynchronous"); err != nil {
		return ChildSA{}, fmt.Errorf("%w (by hand: ipsec up %s)", err, next.name)
	}
	up, err = l.await(ctx, next, m)
	if err != nil {
		return ChildSA{}, fmt.Errorf("%v was told to bring up %s, and goes on trying: %w (its log has the reason; by hand: ipsec up %s, or ipsec down %s to stop it)", l, next.name, err, next.name, next.name)
	}
	return *up, nil
}

// await waits until the successor is up, whoever brings it up.
func (l *Libreswan) await(ctx context.Context, next *plutoConn, m *Move) (*ChildSA, error) {
	for {
		up, err := l.up(ctx, next, m)
		if err != nil || up != nil {
			return up, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it did not come up in time: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}

// up returns the youngest Child SA of the successor that is up at the new addresses and isn't one of the old ones, or nil.
func (l *Libreswan) up(ctx context.Context, next *plutoConn, m *Move) (*ChildSA, error) {
	all, err := l.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	var found *ChildSA
	for i := range all {
		c := &all[i]
		if c.Connection != next.name || !c.Up || c.Local != m.Local || c.Remote != m.Remote || oneOf(m.Old, c) {
			continue
		}
		if found == nil || len(c.ID) > len(found.ID) || len(c.ID) == len(found.ID) && c.ID > found.ID {
			found = c
		}
	}
	return found, nil
}

func oneOf(some []ChildSA, c *ChildSA) bool {
	return slices.ContainsFunc(some, func(o ChildSA) bool { return o.In == c.In && o.Out == c.Out && o.Proto == c.Proto })
}

// Retire takes down the connections of the old Child SAs. Whoever shares their subnets loses its policies by that, on both gateways: pluto deletes them by
// selector, and leaves one that stops outbound traffic until a packet makes it negotiate again. So the successor's Child SA is rekeyed at once, which
// puts them back; that is the only interruption.
func (l *Libreswan) Retire(ctx context.Context, old []ChildSA) error {
	all, err := l.ChildSAs(ctx)
	if err != nil {
		return err
	}
	conns, err := l.conns(ctx)
	if err != nil {
		return err
	}
	var done []string
	for i := range all {
		c := &all[i]
		if !oneOf(old, c) || slices.Contains(done, c.Connection) {
			continue
		}
		done = append(done, c.Connection)
		if err := l.takeDown(ctx, c, all, conns); err != nil {
			return err
		}
	}
	return nil
}

// takeDown terminates the connection of a Child SA, and renews those that share its subnets.
func (l *Libreswan) takeDown(ctx context.Context, c *ChildSA, all []ChildSA, conns map[string]*plutoConn) error {
	name := nameOf(c.Connection)
	if _, err := l.ask(ctx, "--terminate", "--name", name, "--asynchronous"); err != nil {
		return fmt.Errorf("%w (by hand: ipsec down %s)", err, name)
	}
	// It goes when the peer has answered at the old addresses, or pluto has given up asking.
	if err := l.until(ctx, func(now []ChildSA) bool {
		return !slices.ContainsFunc(now, func(s ChildSA) bool { return s.ID == c.ID && s.In == c.In })
	}); err != nil {
		return fmt.Errorf("%v has not taken %s down yet, because its peer does not answer at the old addresses; when it does, the policies go along: ipsec up the "+
			"new connection again then: %w", l, name, err)
	}
	for i := range all {
		other := &all[i]
		if other.Connection == c.Connection || !other.Up || !slices.Equal(other.LocalTS, c.LocalTS) || !slices.Equal(other.RemoteTS, c.RemoteTS) || conns[other.Connection] == nil {
			continue
		}
		next := nameOf(other.Connection)
		if _, err := l.ask(ctx, "--rekey-child", "--name", next, "--asynchronous"); err != nil {
			return fmt.Errorf("%w (by hand: ipsec whack --rekey-child --name %s)", err, next)
		}
		if err := l.until(ctx, func(now []ChildSA) bool {
			return slices.ContainsFunc(now, func(s ChildSA) bool { return s.Connection == other.Connection && s.Up && !oneOf(all, &s) }) &&
				!oneOf(now, other)
		}); err != nil {
			return fmt.Errorf("%v took %s down, and did not renew %s, which may lack its policies: %w (by hand: ipsec whack --rekey-child --name %s)", l, name, next, err, next)
		}
	}
	return nil
}

// until asks again and again until what pluto lists is as wanted.
func (l *Libreswan) until(ctx context.Context, wanted func([]ChildSA) bool) error {
	for {
		now, err := l.ChildSAs(ctx)
		if err != nil {
			return err
		}
		if wanted(now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// nameOf is a connection's name without the number of its instance.
func nameOf(connection string) string {
	name, _, _ := strings.Cut(connection, "[")
	return name
}
