package ike

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strongswan/govici/vici"
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
	up, err := v.up(ctx, next, m)
	if err != nil || up != nil {
		return value(up), err
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

func value(c *ChildSA) ChildSA {
	if c == nil {
		return ChildSA{}
	}
	return *c
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
	up, err := v.up(look, next, m)
	switch {
	case up != nil:
		return *up, nil
	case failed != nil:
		return ChildSA{}, errors.Join(failed, v.withdraw(look, next))
	case err != nil:
		return ChildSA{}, err
	}
	return ChildSA{}, fmt.Errorf("%v says that it brought %s/%s up and does not list it from %v to %v", v, next.connection, next.child, m.Local, m.Remote)
}

// withdraw ends attempts at a connection that came to nothing so far: charon goes on trying after it has said that it failed, and would have a Child SA
// up when nobody counts on it any more.
func (v *VICI) withdraw(ctx context.Context, next *conn) error {
	_, events, err := v.ask(ctx, "list-sas", "list-sa", nil)
	if err != nil {
		return err
	}
	var failed error
	for _, e := range events {
		if ike := section(e, next.connection); ike != nil && text(ike, "state") == "CONNECTING" {
			failed = errors.Join(failed, v.terminate(ctx, "ike-id", text(ike, "uniqueid"), true))
		}
	}
	return failed
}

// lastLook is how long charon may take to say what came of an attempt that has used up its time.
const lastLook = time.Second

// await waits until the peer has brought the successor up.
func (v *VICI) await(ctx context.Context, next *conn, m *Move) (*ChildSA, error) {
	for {
		up, err := v.up(ctx, next, m)
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

// up returns the youngest Child SA of the successor that succeeds the old one, or nil.
func (v *VICI) up(ctx context.Context, next *conn, m *Move) (*ChildSA, error) {
	in := vici.NewMessage()
	if err := in.Set("ike", next.connection); err != nil {
		return nil, err
	}
	all, err := v.childSAs(ctx, in)
	if err != nil {
		return nil, err
	}
	var found *ChildSA
	for i := range all {
		c := &all[i]
		if c.Connection != next.connection || c.Child != next.child || !m.Succeeds(c) {
			continue
		}
		if found == nil || len(c.ID) > len(found.ID) || len(c.ID) == len(found.ID) && c.ID > found.ID {
			found = c
		}
	}
	return found, nil
}

// Retire terminates the IKE SAs that have no other Child SA left than those to be retired, without waiting for the peer's word, and of the others
// the Child SAs. One at a time: of two Child SAs that leave the same IKE SA at once, each would count on the other to keep it, and it would stay with none.
func (v *VICI) Retire(ctx context.Context, old []ChildSA) error {
	done, err := v.retire.take(ctx, "")
	if err != nil {
		return fmt.Errorf("%v is busy retiring others: %w", v, err)
	}
	defer done()
	all, err := v.ChildSAs(ctx)
	if err != nil {
		return err
	}
	stays := make(map[string]bool) // IKE SAs, because of a Child SA that isn't to be retired
	goes := make(map[string]bool)  // IKE SAs with one that is
	var children []string
	for i := range all {
		c := &all[i]
		if !slices.ContainsFunc(old, func(o ChildSA) bool { return o.In == c.In && o.Out == c.Out && o.Proto == c.Proto }) {
			stays[c.IKE] = true
			continue
		}
		goes[c.IKE] = true
		children = append(children, c.ID)
	}
	var failed error
	for i := range all {
		if id := all[i].IKE; goes[id] && !stays[id] {
			delete(goes, id)
			failed = errors.Join(failed, v.terminate(ctx, "ike-id", id, true))
		}
	}
	for i := range all {
		if c := &all[i]; stays[c.IKE] && slices.Contains(children, c.ID) {
			failed = errors.Join(failed, v.terminate(ctx, "child-id", c.ID, false))
		}
	}
	return failed
}

// terminate ends one SA. Without force charon waits for the peer's answer.
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
	if err != nil && answer != nil && text(answer, "matches") == "0" {
		return nil // it is gone already
	}
	if err != nil {
		return fmt.Errorf("%w (by hand: swanctl --terminate --%s %s)", err, what, id)
	}
	return nil
}
