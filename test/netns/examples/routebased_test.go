//go:build lab

package examples

import (
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// routeBased has an XFRM interface on each gateway and policies for any address; another one on the left gateway stays where it is.
var routeBased = situation{
	name:  "XFRM interfaces",
	plans: onBoth("route-based.yaml"),
	setUp: func(t *testing.T, _ *topo.Network) {
		for ns, routes := range map[topo.Namespace]string{
			topo.Left:  "route add 10.2.0.0/24 dev ipsec42\nroute add fd02::/64 dev ipsec42\nlink add ipsec43 type xfrm if_id 43\nlink set ipsec43 up\n",
			topo.Right: "route add 10.1.0.0/24 dev ipsec42\nroute add fd01::/64 dev ipsec42\n",
		} {
			if err := ns.IP("link add ipsec42 type xfrm if_id 42\nlink set ipsec42 up\n" + routes); err != nil {
				t.Fatal(err)
			}
		}
		any := [][2]string{{"0.0.0.0/0", "0.0.0.0/0"}, {"::/0", "::/0"}}
		install(t, []tunnel{{
			reqid: 42, left: "192.0.2.1", right: "203.0.113.1", inner: any, saWords: "flag af-unspec if_id 42", policyWords: "if_id 42",
		}})
		install(t, []tunnel{{
			reqid: 43, left: "192.0.2.1", right: "203.0.113.3", inner: any, saWords: "flag af-unspec if_id 43", policyWords: "if_id 43",
		}}, topo.Left)
	},
	pings: both4and6,
	moved: func(_ topo.Namespace, shown string) string {
		if !strings.Contains(shown, "if_id 0x2a") {
			return shown
		}
		return strings.ReplaceAll(shown, "192.0.2.1", "198.51.100.1")
	},
	look: func(t *testing.T, _ *seen) {
		route, err := topo.Left.Run("ip", "route", "get", topo.Client4)
		if err != nil || !strings.Contains(route, "dev ipsec42") {
			t.Errorf("the route to %s: %v, %s", topo.Client4, err, route)
		}
	},
}
