package ike

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// Open returns the driver that a plan asks for.
func Open(r plan.Reestablish) (Driver, error) {
	switch r.Driver {
	case plan.DriverVICI:
		return NewVICI(r.Socket), nil
	case plan.DriverLibreswan:
		return NewLibreswan(r.Socket), nil
	case plan.DriverCommand:
		return NewCommand(r.Command), nil
	}
	return nil, fmt.Errorf("reestablish.driver %q: write vici, libreswan or command", r.Driver)
}
