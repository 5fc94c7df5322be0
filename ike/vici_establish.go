package ike

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strongswan/govici/vici"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// poll is how often charon is asked whether the peer has brought a Child SA up: a question costs it a millisecond.
const poll = 200 * time.Millisecond

// Establish initiates the successor. Where this host did not initiate the old one, and nothing is lost, the peer is given half of the time to do
// it: two that initiate at once get two of everything.
func (v *VICI) Establish(ctx context.Context, m *Move) (ChildSA, error) {
	next, err := v.successor(ctx, m)
	if err != nil {
		return ChildSA{}, err
	}
	now, err := v.ikeSAsOf(ctx, next)
	if err != nil {
		return ChildSA{}, err
	}
	up := next.upIn(now, m)
	if up != nil {
		return *up, nil
	}
	if fit(next.remote, m.Remote) == fitsAny {
		if up, err = v.await(ctx, next, m); err != nil {
			return ChildSA{}, fmt.Errorf("%s/%s takes any peer, so that %v has to initiate it: %w", next.connection, next.child, m.Remote, err)
		}
		return *up, nil
	}
	if !m.Lost && !m.Old[0].Initiator {
		first, cancel := context.WithTimeout(ctx, half(ctx))
		up, err = v.await(first, next, m)
		cancel()
		if err == nil {
			return *up, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return ChildSA{}, err
		}
	}
	if m.Lost && next.connection == m.Old[0].Connection {
		// The same connection takes both addresses: with its IKE SA still there, charon would use that, at the old ones.
		if err := v.Retire(ctx, m.Old); err != nil {
			return ChildSA{}, err
		}
	}
	return v.setUp(ctx, next, m)
}

// half is half of the time that is left. Every caller sets a deadline.
func half(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline) / 2
}

// setUp initiates the successor. Two Child SAs of one connection that are initiated at once get an IKE SA each, of which charon keeps one.
func (v *VICI) setUp(ctx context.Context, next *conn, m *Move) (ChildSA, error) {
	done, err := v.initiate.take(ctx, next.connection)
	if err != nil {
		return ChildSA{}, fmt.Errorf("%v is busy bringing others of %s up: %w", v, next.connection, err)
	}
	defer done()
	before, err := v.ikeSAsOf(ctx, next)
	if err != nil {
		return ChildSA{}, err
	}
	in := vici.NewMessage()
	err = errors.Join(in.Set("ike", next.connection), in.Set("child", next.child), in.Set("timeout", patience(ctx)))
	if err != nil {
		return ChildSA{}, err
	}
	_, _, failed := v.ask(ctx, "initiate", "", in)
	if failed != nil {
		failed = fmt.Errorf("%w (by hand: swanctl --initiate --ike %s --child %s)", failed, next.connection, next.child)
	}
	// A word of failure isn't the end of it: the peer may have been faster, or the answer have been lost.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(half(ctx), lastLook))
	defer cancel()
	now, err := v.ikeSAsOf(look, next)
	if err != nil {
		return ChildSA{}, errors.Join(failed, err)
	}
	if up := next.upIn(now, m); up != nil {
		return *up, nil
	}
	if failed != nil {
		return ChildSA{}, errors.Join(failed, v.withdraw(look, m, before, now))
	}
	had := childrenOf(before)
	if c := youngest(childrenOf(now), func(c *ChildSA) bool { return next.has(c) && m.cameUp(c) && !oneOf(had, c) }); c != nil {
		return ChildSA{}, v.another(c, m)
	}
	return ChildSA{}, fmt.Errorf("%v says that it brought %s/%s up and does not list it from %v to %v", v, next.connection, next.child, m.Local, m.Remote)
}

// another says that what came up is not what was asked for. It is left: to take it down would put the old one's policies back as charon knows them, at
// the old addresses.
func (v *VICI) another(c *ChildSA, m *Move) error {
	return fmt.Errorf("%v has brought %s/%s up %s, so that the old one was left: see that %s is like the old connection on both gateways, and end what came up (swanctl --terminate --child-id %s)",
		v, c.Connection, c.Child, m.unlike(c), c.Connection, c.ID)
}

// withdraw ends what an attempt that came to nothing has left: charon goes on trying after it has said that it failed, and would have a Child SA up when
// nobody counts on it any more; and it keeps an IKE SA whose Child SA the peer has refused. Other peers' IKE SAs of the same connection are none of it.
func (v *VICI) withdraw(ctx context.Context, m *Move, before, now []ikeSA) error {
	var failed error
	for i := range now {
		s := &now[i]
		is := func(b ikeSA) bool { return b.id == s.id }
		tries := s.state == "CONNECTING"
		empty := s.state == "ESTABLISHED" && s.initiator && len(s.children) == 0 && !slices.ContainsFunc(before, is)
		if (tries || empty) && fit([]string{s.local}, m.Local) != fitsNot && fit([]string{s.remote}, m.Remote) == fits {
			failed = errors.Join(failed, v.terminate(ctx, "ike-id", s.id, true))
		}
	}
	return failed
}

// ikeSAsOf lists the IKE SAs of a connection.
func (v *VICI) ikeSAsOf(ctx context.Context, next *conn) ([]ikeSA, error) {
	in := vici.NewMessage()
	if err := in.Set("ike", next.connection); err != nil {
		return nil, err
	}
	return v.ikeSAs(ctx, in)
}

// lastLook is how long charon may take to say what came of an attempt that has used up its time.
const lastLook = time.Second

// await waits until the peer has brought the successor up. If the peer has agreed to part of its traffic only there is nothing to wait for.
func (v *VICI) await(ctx context.Context, next *conn, m *Move) (*ChildSA, error) {
	for {
		now, err := v.ikeSAsOf(ctx, next)
		if err != nil {
			return nil, err
		}
		if up := next.upIn(now, m); up != nil {
			return up, nil
		}
		if c := youngest(childrenOf(now), func(c *ChildSA) bool { return next.has(c) && m.narrowed(c) }); c != nil {
			return nil, v.another(c, m)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it did not come up in time: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}

// upIn returns the youngest Child SA that succeeds the old one, or nil.
func (c *conn) upIn(ikes []ikeSA, m *Move) *ChildSA {
	return youngest(childrenOf(ikes), func(sa *ChildSA) bool { return c.has(sa) && m.Succeeds(sa) })
}

// Retire terminates the IKE SAs that have no other Child SA left than those to be retired, without waiting for the peer's word, and of the others
// the Child SAs.
func (v *VICI) Retire(ctx context.Context, old []ChildSA) error {
	ikes, children, err := v.leave(ctx, old)
	if err != nil {
		return err
	}
	var failed error
	for _, id := range ikes {
		failed = errors.Join(failed, v.terminate(ctx, "ike-id", id, true))
	}
	for _, id := range children {
		failed = errors.Join(failed, v.dismiss(ctx, id))
	}
	if failed == nil {
		return nil
	}
	// What counts is that they are gone: the answer may have been lost.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	now, err := v.ChildSAs(look)
	if err == nil && !slices.ContainsFunc(now, func(c ChildSA) bool { return oneOf(old, &c) }) {
		return nil
	}
	return failed
}

// leave decides what has to go with Child SAs, by the daemon's handles: IKE SAs, and Child SAs of IKE SAs that stay. A Child SA that was to go before
// keeps no IKE SA: where the peer does not answer charon goes on listing it, and of two that leave at once each would count on the other.
func (v *VICI) leave(ctx context.Context, old []ChildSA) (ikes, children []string, err error) {
	done, err := v.retire.take(ctx, "")
	if err != nil {
		return nil, nil, fmt.Errorf("%v is busy retiring others: %w", v, err)
	}
	defer done()
	all, err := v.ikeSAs(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := range old {
		v.leaving[[2]xfrm.SPI{old[i].In, old[i].Out}] = true
	}
	for i := range all {
		var going []string
		stays := false
		for _, c := range all[i].children {
			switch {
			case oneOf(old, &c):
				going = append(going, c.ID)
			case !v.leaving[[2]xfrm.SPI{c.In, c.Out}]:
				stays = true
			}
		}
		switch {
		case len(going) == 0:
		case stays:
			children = append(children, going...)
		default:
			ikes = append(ikes, all[i].id)
		}
	}
	return ikes, children, nil
}

// peerLimit is how long a peer has to agree that a Child SA goes: charon repeats itself once in that time.
const peerLimit = 5 * time.Second

// dismiss has a Child SA go whose IKE SA stays. charon asks the peer, and goes on asking by itself where that doesn't answer at the old addresses.
func (v *VICI) dismiss(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	return v.terminate(ctx, "child-id", id, false)
}

// terminate ends one SA. Without force charon waits for the peer's answer; that it has waited in vain is no error.
func (v *VICI) terminate(ctx context.Context, what, id string, force bool) error {
	in := vici.NewMessage()
	err := in.Set(what, id)
	if force {
		err = errors.Join(err, in.Set("force", "yes")) // with a timeout it would wait for that
	} else {
		err = errors.Join(err, in.Set("timeout", patience(ctx)))
	}
	if err != nil {
		return err
	}
	answer, _, err := v.ask(ctx, "terminate", "", in)
	switch {
	case err == nil:
		return nil
	case answer != nil && (!force || text(answer, "matches") == "0"): // it is on its way out, or gone already
		return nil
	}
	return fmt.Errorf("%w (by hand: swanctl --terminate --%s %s)", err, what, id)
}
