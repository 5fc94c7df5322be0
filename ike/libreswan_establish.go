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
	if err := m.single(); err != nil {
		return err
	}
	all, err := l.loaded.get(func() (map[string]*plutoConn, error) { return l.conns(ctx) })
	if err == nil {
		_, err = l.pick(all, m)
	}
	return err
}

// Establish initiates the successor. As with strongSwan the peer is given half of the time to do it where this host did not bring the old one up.
func (l *Libreswan) Establish(ctx context.Context, m *Move) (ChildSA, error) {
	next, err := l.successor(ctx, m)
	if err != nil {
		return ChildSA{}, err
	}
	now, err := l.ChildSAs(ctx)
	if err != nil {
		return ChildSA{}, err
	}
	if up := next.upIn(now, m); up != nil {
		return *up, nil
	}
	if err := l.makeRoom(ctx, next, m); err != nil {
		return ChildSA{}, err
	}
	if !m.Lost && !m.Old[0].Initiator {
		first, cancel := context.WithTimeout(ctx, half(ctx))
		up, err := l.await(first, next, m)
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
	up, err := l.await(ctx, next, m)
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
	if err := until(ctx, l.ChildSAs, func(now []ChildSA) bool { return !slices.ContainsFunc(now, its) }); err != nil {
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
func (l *Libreswan) await(ctx context.Context, next *plutoConn, m *Move) (up *ChildSA, err error) {
	err = until(ctx, l.ChildSAs, func(all []ChildSA) bool {
		up = next.upIn(all, m)
		return up != nil
	})
	if err != nil {
		return nil, fmt.Errorf("it did not come up in time: %w", err)
	}
	return up, nil
}

// upIn returns the youngest Child SA of the connection that succeeds the old one, or nil.
func (c *plutoConn) upIn(all []ChildSA, m *Move) *ChildSA {
	return youngest(all, func(sa *ChildSA) bool { return sa.Connection == c.name && m.Succeeds(sa) })
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
	err := until(ctx, l.ChildSAs, func(now []ChildSA) bool {
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
		return l.empty(ctx, old)
	case slices.ContainsFunc(left, func(name string) bool { return slices.Contains(theirs, name) }):
		return fmt.Errorf("%v waits for the peer, which has brought up %s, to take it down (by hand, there: ipsec down NAME): %w", l, strings.Join(left, ", "), err)
	}
	return fmt.Errorf("%v has not taken %s down yet, because its peer does not answer at the old addresses: %w", l, strings.Join(left, ", "), err)
}

// linger is how long an IKE SA may be there after its last Child SA: pluto deletes one after the other, either with a message to the peer.
const linger = 2 * time.Second

// empty takes down the IKE SAs that Child SAs have left without any. pluto sees to that only where it is the connection that has brought the IKE SA up which
// goes last: two connections between the same hosts share one.
func (l *Libreswan) empty(ctx context.Context, old []ChildSA) error {
	var owners []string
	none := func(s *plutoStates) bool {
		owners = s.emptied(old)
		return len(owners) == 0
	}
	first, cancel := context.WithTimeout(ctx, linger)
	defer cancel()
	err := until(first, l.states, none)
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, name := range owners {
		if err := l.terminate(ctx, name); err != nil {
			return err
		}
	}
	if err := until(ctx, l.states, none); err != nil {
		return fmt.Errorf("%v has not taken down the IKE SA of %s yet, which has no Child SA any more: %w (by hand: ipsec down %[2]s)", l, strings.Join(owners, ", "), err)
	}
	return nil
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
	err = until(ctx, l.ChildSAs, func(now []ChildSA) bool {
		return slices.ContainsFunc(now, func(s ChildSA) bool { return s.Connection == c.Connection && s.Up && !oneOf(before, &s) })
	})
	if err != nil {
		return fmt.Errorf("%v did not rekey %s: %w (by hand: ipsec whack --rekey-child --name %[2]s)", l, name, err)
	}
	return nil
}

// until asks again and again until what pluto says is as wanted.
func until[T any](ctx context.Context, ask func(context.Context) (T, error), wanted func(T) bool) error {
	for {
		now, err := ask(ctx)
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
