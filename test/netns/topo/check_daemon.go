package topo

// ChecksWithDaemon says of an observed move that the IKE daemons had a part in whether it went as promised: what the kernel alone keeps, such as SPIs and
// sequence numbers, is new then.
func (o *Observation) ChecksWithDaemon(m Move) []Check {
	all := []struct {
		what, how string
		see       func(Move) (string, error)
	}{
		{"no sequence number or IV sent twice", "captures", o.unique},
		{"no block policy left", "ip xfrm policy", o.unblocked},
		{"nothing of the inner networks in the clear", "captures", o.encrypted},
		{"no ACQUIRE: nobody asked for new SAs", "multicast group ACQUIRE", o.noAcquire},
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
