package ike

import (
	"context"
	"errors"
	"fmt"
)

// errLibreswanFollow says why pluto is not asked to follow.
var errLibreswanFollow = fmt.Errorf("libreswan deletes the policies of a new connection when it takes down the old one with the same subnets, and for that time nothing would protect their traffic: %w; "+
	"move with ike: {follow: none}, then by hand ipsec up the new connection, ipsec down the old one, and ipsec whack --rekey-child --name the new one", errors.ErrUnsupported)

// Check looks for the successor, so that what is wrong with it is said first, and refuses even so.
func (l *Libreswan) Check(ctx context.Context, m *Move) error {
	if _, err := l.successor(ctx, m); err != nil {
		return err
	}
	return errLibreswanFollow
}

// Establish refuses, as Check does.
func (l *Libreswan) Establish(context.Context, *Move) (ChildSA, error) {
	return ChildSA{}, errLibreswanFollow
}

// Retire refuses, as Check does.
func (l *Libreswan) Retire(context.Context, []ChildSA) error { return errLibreswanFollow }
