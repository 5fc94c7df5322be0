package plan

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Where SAs step aside to: addresses that are never anybody's outer address. An SA is there only while its group is
// blocked.
var (
	hopIPv4 = netip.MustParseAddr("240.0.0.1") // reserved, RFC 1112 section 4
	hopIPv6 = netip.MustParseAddr("100::1")    // discard-only, RFC 6666
)

// hop gives the SA a place to step aside to that no SA has and no other hop takes.
func (c *computation) hop(v *move) {
	a := hopIPv6
	if v.sa.ID.Family == xfrm.FamilyIPv4 {
		a = hopIPv4
	}
	id := v.sa.ID
	for id.Dst = xfrm.AddressFrom(a); c.isTaken(id); id.Dst = xfrm.AddressFrom(a) {
		a = a.Next()
	}
	if c.hops == nil {
		c.hops = make(map[xfrm.SAID]bool)
	}
	c.hops[id] = true
	v.hop = &id
}

func (c *computation) isTaken(id xfrm.SAID) bool {
	taken := c.hops[id]
	c.tuples.each(tuple(id), func(int32) { taken = true })
	return taken
}
