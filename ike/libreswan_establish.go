package ike

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check looks for the successor.
func (l *Libreswan) Check(ctx context.Context, m *Move) error {
	_, err := l.successor(ctx, m)
	return err
}

// Establish initiates the successor. As with strongSwan the peer is given half of the time to do it where this host did not bring the old one up.
func (l *Libreswan) Establish(ctx context.Context, m *Move) (ChildSA, error) {
	next, err := l.successor(ctx, m)
	if err != nil {
		return ChildSA{}, err
	}
	up, err := l.up(ctx, next.name, m)
	if err != nil || up != nil {
		return value(up), err
	}
	if err := l.makeRoom(ctx, next, m); err != nil {
		return ChildSA{}, err
	}
	if !m.Lost && !m.Old[0].Initiator {
		first, cancel := context.WithTimeout(ctx, half(ctx))
		up, err = l.await(first, next.name, m)
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
	up, err = l.await(ctx, next.name, m)
	if err != nil {
		return ChildSA{}, fmt.Errorf("%v was told to bring up %[2]s, and goes on trying: %[3]w (its log has the reason; by hand: ipsec up %[2]s, or ipsec down %[2]s to stop it)", l, next.name, err)
	}
	return *up, nil
}

// makeRoom takes the successor down if what is lost is its own: pluto believes it to be up and would not bring it up again. What pluto was told to bring
// up in the other place goes with it: it would go on trying. The caller's blocks stand where all these have their policies.
func (l *Libreswan) makeRoom(ctx context.Context, next *plutoConn, m *Move) error {
	now, err := l.ChildSAs(ctx)
	if err != nil {
		return err
	}
	its := func(c ChildSA) bool { return c.Connection == next.name && oneOf(m.Old, &c) }
	if !m.Lost || !slices.ContainsFunc(now, its) {
		return nil
	}
	all, err := l.conns(ctx)
	if err != nil {
		return err
	}
	for _, name := range append(between(all, m.OldLocal, m.OldRemote, next), next.name) {
		if err := l.terminate(ctx, name); err != nil {
			return err
		}
	}
	if err := l.until(ctx, func(now []ChildSA) bool { return !slices.ContainsFunc(now, its) }); err != nil {
		return fmt.Errorf("%v has not taken down what is lost of %s: %w", l, next.name, err)
	}
	return nil
}

func (l *Libreswan) terminate(ctx context.Context, name string) error {
	if _, err := l.ask(ctx, "--terminate", "--name", name, "--asynchronous"); err != nil {
		return fmt.Errorf("%w (by hand: ipsec down %s)", err, name)
	}
	return nil
}

// await waits until the successor is up, whoever brings it up.
func (l *Libreswan) await(ctx context.Context, next string, m *Move) (up *ChildSA, err error) {
	err = l.until(ctx, func(all []ChildSA) bool {
		up = youngest(all, next, m)
		return up != nil
	})
	if err != nil {
		return nil, fmt.Errorf("it did not come up in time: %w", err)
	}
	return up, nil
}

// up returns the youngest Child SA of the successor, or nil.
func (l *Libreswan) up(ctx context.Context, next string, m *Move) (*ChildSA, error) {
	all, err := l.ChildSAs(ctx)
	if err != nil {
		return nil, err
	}
	return youngest(all, next, m), nil
}

// youngest returns the Child SA of the successor that came up last at the new addresses and isn't one of the old ones, or nil.
func youngest(all []ChildSA, next string, m *Move) (found *ChildSA) {
	for i := range all {
		c := &all[i]
		if c.Connection != next || !c.Up || c.Local != m.Local || c.Remote != m.Remote || oneOf(m.Old, c) {
			continue
		}
		if found == nil || len(c.ID) > len(found.ID) || len(c.ID) == len(found.ID) && c.ID > found.ID {
			found = c
		}
	}
	return found
}

func oneOf(some []ChildSA, c *ChildSA) bool {
	return slices.ContainsFunc(some, func(o ChildSA) bool { return o.In == c.In && o.Out == c.Out && o.Proto == c.Proto })
}

// Retire takes down the connections of the old Child SAs that this host has brought up; of the others it waits until the peer has, whose pluto would
// bring them up again at once. It waits until they are gone: where the peer doesn't answer at the old addresses, that is until pluto has given up asking,
// a minute unless its retransmit-timeout says otherwise.
func (l *Libreswan) Retire(ctx context.Context, old []ChildSA) error {
	var ours, theirs []string
	for i := range old {
		name := nameOf(old[i].Connection)
		switch {
		case slices.Contains(ours, name), slices.Contains(theirs, name):
		case old[i].Initiator:
			ours = append(ours, name)
		default:
			theirs = append(theirs, name)
		}
	}
	for _, name := range ours {
		// Also if it is down: it may be about to come up again, as long as nobody has told pluto that it shall not.
		if err := l.terminate(ctx, name); err != nil {
			return err
		}
	}
	var left []string
	err := l.until(ctx, func(now []ChildSA) bool {
		left = nil
		for i := range now {
			if name := nameOf(now[i].Connection); !slices.Contains(left, name) && (slices.Contains(ours, name) || slices.Contains(theirs, name)) {
				left = append(left, name)
			}
		}
		return len(left) == 0
	})
	switch {
	case err == nil:
		return nil
	case slices.ContainsFunc(left, func(name string) bool { return slices.Contains(theirs, name) }):
		return fmt.Errorf("%v waits for the peer, which has brought up %s, to take it down (by hand, there: ipsec down NAME): %w", l, strings.Join(left, ", "), err)
	}
	return fmt.Errorf("%v has not taken %s down yet, because its peer does not answer at the old addresses: %w", l, strings.Join(left, ", "), err)
}

// Renew has pluto rekey the Child SA.
func (l *Libreswan) Renew(ctx context.Context, c ChildSA) error {
	name := nameOf(c.Connection)
	before, err := l.ChildSAs(ctx)
	if err != nil {
		return err
	}
	if _, err := l.ask(ctx, "--rekey-child", "--name", name, "--asynchronous"); err != nil {
		return fmt.Errorf("%w (by hand: ipsec whack --rekey-child --name %s)", err, name)
	}
	err = l.until(ctx, func(now []ChildSA) bool {
		return slices.ContainsFunc(now, func(s ChildSA) bool { return s.Connection == c.Connection && s.Up && !oneOf(before, &s) })
	})
	if err != nil {
		return fmt.Errorf("%v did not rekey %s: %w (by hand: ipsec whack --rekey-child --name %[2]s)", l, name, err)
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
