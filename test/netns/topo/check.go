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

// blockedTime is how much longer than the gateways are at different addresses pings may be lost: while the program blocks the policies of
// a tunnel and while the new addresses are resolved. It is mostly slack for an emulated machine.
const blockedTime = 4 * time.Second

// Checks says of an observed move whether it went as promised.
func (o *Observation) Checks(m Move) []Check {
	return judge(m, []sight{
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
	})
}

// sight is a question about an observed move, where the answer is seen, and what sees it.
type sight struct {
	what, how string
	see       func(Move) (string, error)
}

func judge(m Move, all []sight) []Check {
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
	// By the number of the lost ones: on a busy host the whole machine can stand still, which makes a gap without any loss.
	outage, allowed := time.Duration(lost)*PingInterval, o.apart()+blockedTime
	switch {
	case o.Deaf != nil && strings.Contains(o.Deaf.Error(), to):
		return seen, o.Deaf
	case outage > allowed:
		return seen, fmt.Errorf("%v worth of pings lost, more than %v", outage, allowed)
	}
	return seen, nil
}

// apart is the time between the first migration and the last one, on whichever gateway: until then one of them sends to addresses at
// which the other one is not.
func (o *Observation) apart() time.Duration {
	var first, last time.Time
	for _, heard := range o.Notices {
		for _, n := range heard {
			if n.Type != MsgMigrateState {
				continue
			}
			if first.IsZero() || n.At.Before(first) {
				first = n.At
			}
			if n.At.After(last) {
				last = n.At
			}
		}
	}
	return last.Sub(first)
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
