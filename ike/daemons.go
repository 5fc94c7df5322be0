package ike

import (
	"os"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// The places where charon listens unless it is told otherwise; the second is a name of the first on most systems.
var viciSockets = []string{"/run/charon.vici", "/var/run/charon.vici"}

// Daemons lists the daemons that may run on this host: where the plan says, and where they listen by default. That one doesn't run shows when it is asked.
func Daemons(r plan.Reestablish) (all []Driver) {
	sockets := viciSockets
	if r.Driver == plan.DriverVICI && r.Socket != "" {
		sockets = append([]string{r.Socket}, viciSockets...)
	}
	var seen []os.FileInfo
next:
	for _, s := range sockets {
		info, err := os.Stat(s)
		if err != nil {
			continue
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				continue next
			}
		}
		seen = append(seen, info)
		all = append(all, NewVICI(s))
	}
	return all
}
