package topo

// ChecksWithDaemon says of an observed move that the IKE daemons had a part in whether it went as promised: what the kernel alone keeps, such as SPIs and
// sequence numbers, is new then.
func (o *Observation) ChecksWithDaemon(m Move) []Check {
	return judge(m, []sight{
		{"no sequence number or IV sent twice", "captures", o.unique},
		{"no block policy left", "ip xfrm policy", o.unblocked},
		{"nothing of the inner networks in the clear", "captures", o.encrypted},
		{"no ACQUIRE: nobody asked for new SAs", "multicast group ACQUIRE", o.noAcquire},
		{"IPv4 pings go on", "ping " + Client4, func(Move) (string, error) { return o.pinged(Client4) }},
		{"IPv6 pings go on", "ping " + Client6, func(Move) (string, error) { return o.pinged(Client6) }},
	})
}
