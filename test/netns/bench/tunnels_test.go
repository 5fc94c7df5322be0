//go:build lab

package bench

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// The hub's addresses.
var (
	hub    = netip.MustParsePrefix("192.0.2.0/28")
	newHub = netip.MustParsePrefix("198.51.100.0/28")
)

// perAddress is how many Child SAs xfrmtest has SPIs and inner prefixes for. Further ones are at another address of the hub, and have
// another if_id, so that they may use the same.
const perAddress = 32768

// tunnel makes Child SA i of the hub: each has a peer of its own, as branches do.
func tunnel(i int) xfrmtest.ChildSA {
	var peer [4]byte
	binary.BigEndian.PutUint32(peer[:], 100<<24+uint32(i)+1) // 100.0.0.1 and so on
	local := hub.Addr().Next()
	for range i / perAddress {
		local = local.Next()
	}
	return xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 1, First: i % perAddress, IfID: uint32(i / perAddress),
		Local: local, Remote: netip.AddrFrom4(peer), SPIInTemplate: true, Dir: true,
	})[0]
}

// installed is how many Child SAs the kernel has.
var installed int

// batch is how many Child SAs are installed at a time: enough for a full datagram each time (256 requests), little enough to leave no
// trace in this process, whose memory is measured.
const batch = 32

// install brings the kernel to n Child SAs.
func install(b *testing.B, n int) {
	b.Helper()
	c, err := xfrm.Dial(0)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if installed > n {
		installed = 0
		for _, err := range c.Do(xfrmtest.FlushPolicies(), xfrmtest.FlushSAs(xfrm.ProtoAny)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for installed < n {
		var all []xfrm.Request
		for range min(batch, n-installed) {
			t := tunnel(installed)
			all = append(all, t.Requests()...)
			installed++
		}
		for _, err := range c.Do(all...) {
			if err != nil {
				b.Fatalf("before tunnel %d: %v", installed, err)
			}
		}
	}
}
