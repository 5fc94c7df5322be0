//go:build lab

package scenario

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestCharonRetiresWithoutTheOldPath has no message of IKE get through to or from the address that goes, as when a line has failed and the move is in a hurry. Two Child SAs
// share the IKE SA and move in two waves: the peer can't agree to the end of the first one, and the last one takes the IKE SA along.
func TestCharonRetiresWithoutTheOldPath(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := build(t)
	if err := n.StartCharon(); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(casesInTheWay, func(c inTheWay) bool { return len(c.children) == 2 })
	c := casesInTheWay[at]
	c.up(t, n)
	defer c.down(t, n)
	for _, ns := range topo.Gateways {
		if err := ns.DropIKE(topo.LeftISPA); err != nil {
			t.Fatal(err)
		}
	}
	var pings []*topo.Ping
	for _, to := range c.pings {
		p, err := topo.StartPing(to)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		pings = append(pings, p)
	}
	answered(t, pings, "before")
	begun := time.Now()
	var both sync.WaitGroup
	for _, ns := range topo.Gateways {
		both.Go(func() {
			expect(t, applyPlan(t, n, ns, ikePlan(t, n, ns, topo.LeftISPA, topo.LeftISPB,
				"ike: {follow: reestablish}\nwaves: [{name: one, size: 1}, {name: rest, size: 100%}]")), 0)
		})
	}
	both.Wait()
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	c.agree(t, n)
	answered(t, pings, "afterwards")
	if t.Failed() {
		dump(t, n)
	}
}
