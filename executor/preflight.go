package executor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// Host is what the checks before a wave ask of this host.
type Host interface {
	Addresses() ([]netip.Addr, error) // of its interfaces
	// HasRoute tells whether the routing tables lead from one address to another.
	HasRoute(local, remote netip.Addr) (bool, error)
}

// ErrPreflight means that the host isn't ready for the plan.
var ErrPreflight = errors.New("this host is not ready")

// Preflight is a plan's checks before anything is touched: is each new local address on an interface, and is there a way
// from it to the peer.
type Preflight struct {
	checks plan.Checks
	ends   []endpoints
}

// NewPreflight returns the checks of a plan.
func NewPreflight(p *plan.Plan, checks plan.Checks) *Preflight {
	return &Preflight{checks, newEnds(p)}
}

// Check makes the checks on what the host has now. It lists the addresses once and looks up a route for each pair of
// addresses: with 20,000 peers that takes the kernel a fraction of a second.
func (f *Preflight) Check(h Host) error {
	var assigned []netip.Addr
	if f.checks.LocalAddressAssigned && len(f.ends) != 0 {
		var err error
		if assigned, err = h.Addresses(); err != nil {
			return err
		}
	}
	var wrong []error
	missing := make(map[netip.Addr]bool)
	for _, ends := range f.ends {
		if missing[ends.local] {
			continue
		}
		if f.checks.LocalAddressAssigned && !slices.Contains(assigned, ends.local) {
			missing[ends.local] = true
			wrong = append(wrong, fmt.Errorf("%w: %v is not assigned to an interface: `ip address add` it, or set checks.before.localAddressAssigned: false",
				ErrPreflight, ends.local))
			continue
		}
		if !f.checks.RouteToPeer {
			continue
		}
		switch ok, err := h.HasRoute(ends.local, ends.remote); {
		case err != nil:
			return err
		case !ok:
			wrong = append(wrong, fmt.Errorf("%w: there is no route from %v to %v: add one, or set checks.before.routeToPeer: false",
				ErrPreflight, ends.local, ends.remote))
		}
	}
	return errors.Join(wrong...)
}

type endpoints struct{ local, remote netip.Addr }

// newEnds lists the pairs of outer addresses that SAs will have, each once. SAs of unknown direction can't be checked.
func newEnds(p *plan.Plan) []endpoints {
	var all []endpoints
	seen := make(map[endpoints]bool)
	for i := range p.Groups {
		for j := range p.Groups[i].Calls {
			c := &p.Groups[i].Calls[j]
			e := endpoints{c.NewLocal(), c.NewRemote()}
			if c.Dir != 0 && !seen[e] {
				seen[e] = true
				all = append(all, e)
			}
		}
	}
	return all
}
