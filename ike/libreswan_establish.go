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
	up, err := l.up(ctx, next, m)
	if err != nil || up != nil {
		return value(up), err
	}
	if m.Lost {
		// What is left of the old one holds the subnets.
		if err := l.Retire(ctx, m.Old); err != nil {
			return ChildSA{}, err
		}
	} else if !m.Old[0].Initiator {
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
		return ChildSA{}, fmt.Errorf("%v was told to bring up %s, and goes on trying: %w (its log has the reason; by hand: ipsec up %s)", l, next.name, err, next.name)
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

// Retire takes down the connections of the old Child SAs, unless they have others that stay: of those it deletes the states.
func (l *Libreswan) Retire(ctx context.Context, old []ChildSA) error {
	all, err := l.ChildSAs(ctx)
	if err != nil {
		return err
	}
	stays := make(map[string]bool) // connections
	for i := range all {
		if !oneOf(old, &all[i]) {
			stays[all[i].Connection] = true
		}
	}
	var failed error
	done := make(map[string]bool)
	for i := range all {
		c := &all[i]
		if !oneOf(old, c) || done[c.Connection] {
			continue
		}
		args := []string{"--terminate", "--name", nameOf(c.Connection), "--asynchronous"}
		if stays[c.Connection] {
			args = []string{"--deletestate", c.ID, "--asynchronous"}
		} else {
			done[c.Connection] = true
		}
		if _, err := l.ask(ctx, args...); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%w (by hand: ipsec whack %s)", err, strings.Join(args[:2], " ")))
		}
	}
	return failed
}

// nameOf is a connection's name without the number of its instance.
func nameOf(connection string) string {
	name, _, _ := strings.Cut(connection, "[")
	return name
}
