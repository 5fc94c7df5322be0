//go:build lab

package examples

import (
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// steady is how many replies say that a tunnel works. They take half a second.
const steady = 10

// maxLost is how long a tunnel may be silent while both gateways apply a plan at the same time: as far as they are apart. On one emulated
// processor, with captures running, that is seconds at worst.
const maxLost = 3 * time.Second

type pings []*topo.Ping

// startPings returns when each of the pings is answered.
func startPings(t *testing.T, to []string) (all pings) {
	t.Helper()
	for _, address := range to {
		p, err := topo.StartPing(address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	all.answered(t)
	return all
}

func (all pings) answered(t *testing.T) {
	t.Helper()
	for _, p := range all {
		if err := p.Answered(steady, 20*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// stop makes sure that the pings are answered again, and that they were not without an answer for long.
func (all pings) stop(t *testing.T) {
	t.Helper()
	all.answered(t)
	for _, p := range all {
		lost, gap := topo.Interruption(p.Stop())
		t.Logf("ping %s: %d lost, longest gap %v", p.To, lost, gap)
		if outage := time.Duration(lost) * topo.PingInterval; outage > maxLost {
			t.Errorf("ping %s: %v worth of pings lost, more than %v", p.To, outage, maxLost)
		}
	}
}
