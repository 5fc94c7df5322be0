//go:build lab

package examples

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// hostToHost is transport mode between the gateways themselves. What ran over it has to start anew from the new address, so there are pings
// before and after, and none from an address that nothing protects any more.
var hostToHost = situation{
	name:  "transport mode between two hosts",
	plans: onBoth("host-to-host.yaml"),
	setUp: func(t *testing.T, _ *topo.Network) {
		install(t, []tunnel{{
			reqid: 17, left: "192.0.2.1", right: "203.0.113.1", mode: "transport", inner: [][2]string{{"192.0.2.1/32", "203.0.113.1/32"}},
		}})
	},
	quiet: func(t *testing.T, moved bool) {
		from := "192.0.2.1"
		if moved {
			from = "198.51.100.1"
		}
		if out, err := topo.Left.Run("ping", "-n", "-c", "5", "-i", "0.1", "-W", "2", "-I", from, "203.0.113.1"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	},
	moved: replaced("192.0.2.1", "198.51.100.1", "reqid 17(0x00000011)", "reqid 1017(0x000003f9)", "reqid 17 ", "reqid 1017 "),
}
