//go:build lab

package examples

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

var both4and6 = []string{topo.Client4, topo.Client6}

// onBoth is the same plan on both gateways.
func onBoth(plan string) map[topo.Namespace]string {
	return map[topo.Namespace]string{topo.Left: plan, topo.Right: plan}
}

var ispChange = situation{
	name:  "a gateway changes its ISP",
	plans: onBoth("dual-stack-isp-change.yaml"),
	setUp: func(t *testing.T, n *topo.Network) {
		if err := n.StartIKE(); err != nil {
			t.Fatal(err)
		}
	},
	pings: both4and6,
	moved: replaced("192.0.2.1", "198.51.100.1"),
}

var toIPv6 = situation{
	name:  "a tunnel leaves IPv4",
	plans: onBoth("ipv4-to-ipv6-outer.yaml"),
	setUp: func(t *testing.T, _ *topo.Network) {
		install(t, []tunnel{{reqid: 1, left: "198.51.100.1", right: "203.0.113.1", inner: dualStack, saWords: "flag af-unspec"}})
	},
	pings: both4and6,
	moved: replaced("198.51.100.1", "2001:db8:20::1", "203.0.113.1", "2001:db8:30::1"),
}
