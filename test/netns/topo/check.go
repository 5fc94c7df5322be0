package topo

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Move is a change of outer addresses.
type Move struct {
	Left, Right       netip.Addr // before
	NewLeft, NewRight netip.Addr
}

// apply returns what an outer address becomes.
func (m Move) apply(a netip.Addr) netip.Addr {
	switch a {
	case m.Left:
		return m.NewLeft
	case m.Right:
		return m.NewRight
	}
	return a
}

// Check is one thing that has to hold after a move.
type Check struct {
	What string
	How  string // where it was seen
	Seen string // what was seen
	Err  error  // why it does not hold
}

// longestGap is how long a ping may go without a reply. The traffic stands still from the moment when the first gateway has moved until
// the second one has: in an emulated machine that is mostly the start of a process.
const longestGap = 3 * time.Second

// Checks says of an observed move whether it went as promised.
func (o *Observation) Checks(m Move) []Check {
	all := []struct {
		what, how string
		see       func(Move) (string, error)
	}{
		{"two MIGRATE_STATE calls on each gateway", "multicast group MIGRATE", o.calls},
		{"SPIs, keys, limits and age of the SAs kept", "ip xfrm state", o.kept},
		{"sequence numbers go on where they were", "captures", o.continued},
		{"no sequence number or IV sent twice", "captures", o.unique},
		{"six policies rewritten on each gateway", "ip xfrm policy", o.rewritten},
		{"no block policy left", "ip xfrm policy", o.unblocked},
		{"nothing of the inner networks in the clear", "captures", o.encrypted},
		{"no ACQUIRE: nobody asked for new SAs", "multicast group ACQUIRE", o.noAcquire},
		{"strongSwan had no part in it", "multicast group SA", o.noNegotiation},
		{"IPv4 pings go on", "ping " + Client4, func(Move) (string, error) { return o.pinged(Client4) }},
		{"IPv6 pings go on", "ping " + Client6, func(Move) (string, error) { return o.pinged(Client6) }},
	}
	checks := make([]Check, len(all))
	for i, c := range all {
		seen, err := c.see(m)
		checks[i] = Check{c.what, c.how, seen, err}
	}
	return checks
}

// LongestGap is the longest time that a client waited for a reply, of either family.
func (o *Observation) LongestGap() (longest time.Duration) {
	for _, replies := range o.Replies {
		_, gap := Interruption(replies)
		longest = max(longest, gap)
	}
	return longest
}

func (o *Observation) pinged(to string) (string, error) {
	replies := o.Replies[to]
	lost, gap := Interruption(replies)
	seen := fmt.Sprintf("%d replies, %d lost, longest gap %v", len(replies), lost, gap.Round(time.Millisecond))
	switch {
	case o.Deaf != nil && strings.Contains(o.Deaf.Error(), to):
		return seen, o.Deaf
	case gap > longestGap:
		return seen, fmt.Errorf("%v without a reply, more than %v", gap, longestGap)
	}
	return seen, nil
}

// count returns how many notices of a type a gateway's kernel sent.
func (o *Observation) count(ns Namespace, typ uint16) (n int) {
	for _, notice := range o.Notices[ns] {
		if notice.Type == typ {
			n++
		}
	}
	return n
}
