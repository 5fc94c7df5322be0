package plan

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Inventory is what one network namespace holds at one moment.
type Inventory struct {
	SAs       []xfrm.SA
	Policies  []xfrm.Policy // without those of sockets
	Addresses []netip.Addr  // assigned to interfaces
	Links     []Link
}

// Link is a network interface.
type Link struct {
	Name  string
	Index int32
}

// tuple is what the kernel finds an SA by. Two SAs can't share one.
type tuple struct {
	id   xfrm.SAID
	mark uint32
}

func tupleOf(sa *xfrm.SA) tuple { return tuple{sa.ID, sa.Mark.Key()} }

func targetTuple(m *xfrm.Migration) tuple { return tuple{m.Target(), m.TargetMark().Key()} }
