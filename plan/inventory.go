package plan

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Inventory is what one network namespace holds at one moment.
type Inventory struct {
	SAs       []xfrm.SA
	Policies  []xfrm.Policy // as dumped, the youngest first, without those of sockets
	Addresses []netip.Addr  // assigned to interfaces
	Links     []Link
}

// Link is a network interface.
type Link struct {
	Name  string
	Index int32
}
