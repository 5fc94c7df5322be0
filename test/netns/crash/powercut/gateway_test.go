//go:build labhost

package powercut

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// gateway is the namespace with the tunnels.
const gateway topo.Namespace = "powercut"

// tunnels are as many as make a run long enough to be cut in the middle, and waves so many that the journal is synced all along it.
const (
	tunnels = 40
	waves   = 10
)

// plan moves every tunnel from one of the gateway's addresses to the other. The last wave takes what the others leave.
var plan = fmt.Sprintf(`apiVersion: xfrm-plan/v1
kind: Renumbering
metadata: {name: powercut}
renumber: [{from: 192.0.2.1, to: 198.51.100.1}]
ike: {follow: none}
waves:
%s  - {size: 100%%}
`, strings.Repeat(fmt.Sprintf("  - {size: %d}\n", tunnels/waves), waves-1))

// build makes the gateway, with links, addresses, routes and manual tunnels.
func build() error {
	if err := gateway.Create(); err != nil {
		return err
	}
	err := gateway.IP("link set lo up\nlink add wan type dummy\nlink set wan up\naddress add 192.0.2.1/24 dev wan\naddress add 198.51.100.1/24 dev wan\n" +
		"route add 203.0.113.0/24 dev wan\n")
	if err != nil {
		return err
	}
	return gateway.Enter(func() error {
		c, err := xfrm.Dial(0)
		if err != nil {
			return err
		}
		defer c.Close()
		return xfrmtest.Install(c, xfrmtest.ChildSAs(xfrmtest.Tunnels{
			N: tunnels, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), SPIInTemplate: true, Dir: true,
		})...)
	})
}
