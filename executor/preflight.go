package executor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// Router tells whether the routing tables lead from one address to another.
type Router interface {
	HasRoute(local, remote netip.Addr) (bool, error)
}

// ErrPreflight means that the host isn't ready for the plan. Nothing has been touched.
var ErrPreflight = errors.New("this host is not ready")

// Preflight makes the plan's checks before anything is touched: is each new local address on an interface, and is there
// a way from it to the peer.
func Preflight(p *plan.Plan, checks plan.Checks, inv *plan.Inventory, router Router) error {
	var wrong []error
	for _, ends := range newEnds(p) {
		if checks.LocalAddressAssigned && !slices.Contains(inv.Addresses, ends.local) {
			wrong = append(wrong, fmt.Errorf("%w: %v is not assigned to an interface: `ip address add` it, or set checks.before.localAddressAssigned: false",
				ErrPreflight, ends.local))
			continue
		}
		if !checks.RouteToPeer {
			continue
		}
		switch ok, err := router.HasRoute(ends.local, ends.remote); {
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
