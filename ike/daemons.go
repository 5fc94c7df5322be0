package ike

import (
	"context"
	"os"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The places where daemons listen unless they are told otherwise; charon's second is a name of the first on most systems.
var (
	viciSockets  = []string{"/run/charon.vici", "/var/run/charon.vici"}
	plutoSockets = []string{"/run/pluto/pluto.ctl"}
)

// Daemons lists the daemons that may run on this host: where the plan says, and where they listen by default. That one doesn't run shows when it is asked.
func Daemons(r plan.Reestablish) (all []Driver) {
	for _, s := range existing(plan.DriverVICI, r, viciSockets) {
		all = append(all, NewVICI(s))
	}
	for _, s := range existing(plan.DriverLibreswan, r, plutoSockets) {
		all = append(all, NewLibreswan(s))
	}
	return all
}

// existing lists the sockets of a kind of daemon that are there, each one once.
func existing(kind plan.Driver, r plan.Reestablish, sockets []string) (all []string) {
	if r.Driver == kind && r.Socket != "" {
		sockets = append([]string{r.Socket}, sockets...)
	}
	var seen []os.FileInfo
	for _, s := range sockets {
		info, err := os.Stat(s)
		if err != nil || slices.ContainsFunc(seen, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
			continue
		}
		seen = append(seen, info)
		all = append(all, s)
	}
	return all
}

// Count tells how many Child SAs a daemon has, and how many of the SAs are its.
func Count(ctx context.Context, d Driver, sas []xfrm.SA) (children, owned int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	all, err := d.ChildSAs(ctx)
	if err != nil {
		return 0, 0, err
	}
	owner := index(all)
	for i := range sas {
		if _, ok := owner(&sas[i]); ok {
			owned++
		}
	}
	return len(all), owned, nil
}

// index returns what finds the Child SA that an SA belongs to.
func index(all []ChildSA) func(*xfrm.SA) (ChildSA, bool) {
	bySPI := make(map[xfrm.SPI][]*ChildSA, 2*len(all))
	for i := range all {
		for _, spi := range []xfrm.SPI{all[i].In, all[i].Out, all[i].InCPI, all[i].OutCPI} {
			bySPI[spi] = append(bySPI[spi], &all[i])
		}
	}
	return func(sa *xfrm.SA) (ChildSA, bool) {
		for _, own := range bySPI[sa.ID.SPI] {
			if own.Owns(sa) {
				return *own, true
			}
		}
		return ChildSA{}, false
	}
}
