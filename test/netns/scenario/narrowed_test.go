//go:build lab

package scenario

import (
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestCharonIsNarrowed has a peer whose new connection carries IPv4 only. What comes up does not replace the old Child SA, which goes on carrying IPv6: the
// gateway says at once why it does not follow.
func TestCharonIsNarrowed(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := build(t)
	if err := n.StartCharon(); err != nil {
		t.Fatal(err)
	}
	site := topo.Tunnel{Name: "site", Left: topo.LeftISPA, Right: topo.RightISP, Children: lan("")}
	next := topo.Tunnel{Name: successor, Left: topo.LeftISPB, Right: topo.RightISP, Children: lan("")}
	if err := n.LoadTunnelsOn(topo.Left, site, next); err != nil {
		t.Fatal(err)
	}
	next.Children = []topo.Child{{Name: "lan", Left: leftNet4, Right: rightNet4}}
	if err := n.LoadTunnelsOn(topo.Right, site, next); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Swanctl(topo.Left, "--initiate", "--ike", "site", "--child", "lan"); err != nil {
		t.Fatal(err)
	}
	ping, err := topo.StartPing(topo.Client6)
	if err != nil {
		t.Fatal(err)
	}
	defer ping.Stop()
	plan := func(ns topo.Namespace, follow string) string {
		return ikePlan(t, n, ns, topo.LeftISPA, topo.LeftISPB, "ike: {follow: "+follow+"}")
	}
	expect(t, applyPlan(t, n, topo.Right, plan(topo.Right, "reestablish")), 5, "ike-no-successor")
	expect(t, applyPlan(t, n, topo.Right, plan(topo.Right, "none")), 0)
	begun := time.Now()
	expect(t, applyPlan(t, n, topo.Left, plan(topo.Left, "reestablish")), 8,
		"with the traffic selectors 10.1.0.0/24 === 10.2.0.0/24 and not with 10.1.0.0/24 fd01::/64 === 10.2.0.0/24 fd02::/64", "swanctl --terminate --child-id")
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := ping.Answered(10, 30*time.Second); err != nil {
		t.Errorf("IPv6: %v", err)
	}
	if t.Failed() {
		dump(t, n)
	}
}
