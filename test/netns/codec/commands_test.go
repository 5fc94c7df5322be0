//go:build lab

package codec

// The SAs and policies of the differential tests: what ip can make of them.
const (
	k16 = "0x000102030405060708090a0b0c0d0e0f"
	k20 = k16 + "10111213"
	k32 = k16 + "000102030405060708090a0b0c0d0e0f"
	gcm = "aead rfc4106(gcm(aes)) " + k20 + " 128"
	v4  = "src 192.0.2.1 dst 203.0.113.1 "
	v6  = "src 2001:db8::1 dst 2001:db8::2 "
)

// saCommands are what follows `ip xfrm state`, by what is particular about them.
var saCommands = []struct{ name, args string }{
	{"tunnel with AEAD, marks, if_id and direction", "add " + v4 + "proto esp spi 0x1001 reqid 1 mode tunnel " + gcm +
		" mark 0x10 mask 0xff output-mark 0x20 mask 0xf0 if_id 7 dir out flag esn replay-window 0 extra-flag dont-encap-dscp"},
	{"transport in UDP with selector", "add " + v4 + "proto esp spi 0x1002 reqid 1 mode transport enc cbc(aes) " + k16 +
		" auth-trunc hmac(sha256) " + k32 + " 128 sel src 192.0.2.1/32 dst 203.0.113.1/32 proto tcp sport 80 dport 443" +
		" encap espinudp 4500 4501 0.0.0.0 replay-window 32"},
	{"AH over IPv6", "add " + v6 + "proto ah spi 0x1003 reqid 2 mode transport auth hmac(sha1) " + k20 + " replay-window 8"},
	{"IPComp tunnel, which the kernel puts an IPIP SA beside", "add " + v4 + "proto comp spi 0x1004 reqid 1 mode tunnel comp deflate"},
	{"BEET without encryption", "add " + v4 + "proto esp spi 0x1005 reqid 3 mode beet enc ecb(cipher_null) '' auth hmac(sha1) " + k20 +
		" sel src 10.0.0.1 dst 10.0.0.2"},
	{"long replay window with ESN", "add " + v6 + "proto esp spi 0x1006 reqid 4 mode tunnel " + gcm + " flag af-unspec flag esn replay-window 1024 dir in"},
	{"extended sequence numbers under way", "add " + v6 + "proto esp spi 0x1010 reqid 4 mode tunnel " + gcm +
		" flag esn replay-window 64 replay-seq-hi 2 replay-seq 3 replay-oseq-hi 4 replay-oseq 5"},
	{"short sequence numbers under way", "add " + v4 + "proto esp spi 0x1011 reqid 4 mode tunnel " + gcm + " replay-window 32 replay-seq 300 replay-oseq 0xfffffff0"},
	{"IPv6 in IPv4 with limits and flags", "add src 192.0.2.1 dst 203.0.113.2 proto esp spi 0x1007 reqid 4 mode tunnel " + gcm +
		" sel src 2001:db8:1::/64 dst 2001:db8:2::/64 limit time-soft 3600 limit time-hard 4000 limit byte-soft 1000000" +
		" limit byte-hard 2000000 limit packet-soft 100 limit packet-hard 200 limit time-use-soft 50 limit time-use-hard 60" +
		" tfcpad 12 flag noecn flag decap-dscp flag nopmtudisc extra-flag oseq-may-wrap"},
	{"IPv4 in IPv6", "add " + v6 + "proto esp spi 0x1008 reqid 5 mode tunnel " + gcm + " sel src 10.1.0.0/24 dst 10.2.0.0/24"},
	{"ICMP in the selector, on a device", "add " + v4 + "proto esp spi 0x1009 mode transport " + gcm +
		" sel src 192.0.2.1 dst 203.0.113.1 proto icmp type 8 code 1 dev lo flag wildrecv flag icmp"},
	{"only an SPI yet", "allocspi " + v4 + "proto esp mode tunnel reqid 6 min 0x2000 max 0x2010"},
}

// policyCommands are what follows `ip xfrm policy`.
var policyCommands = []struct{ name, args string }{
	{"out with mark, if_id and SPI", "add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 mark 0x10 mask 0xff if_id 7" +
		" tmpl src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode tunnel"},
	{"IPComp, optional, and ESP", "add src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd priority 100" +
		" tmpl src 192.0.2.1 dst 203.0.113.1 proto comp reqid 1 mode tunnel level use tmpl proto esp reqid 1 mode transport"},
	{"ICMP block with index, flags and limits", "add src 2001:db8:1::/64 dst 2001:db8:2::/64 proto ipv6-icmp type 128 code 1 dir in" +
		" action block index 0x88 priority 5 flag icmp flag localok limit time-hard 4000 limit byte-soft 5000 limit packet-hard 9"},
	{"sub-policy with ports and device", "add src 10.1.0.0/24 dst 10.2.0.0/24 proto tcp sport 80 dport 443 dev lo dir out ptype sub" +
		" tmpl proto esp mode transport"},
	{"wildcard tunnel to IPv6 for IPv4", "add src 10.3.0.0/24 dst 0.0.0.0/0 dir in tmpl src 2001:db8::1 dst 2001:db8::2 proto esp mode tunnel"},
	{"BEET", "add src 10.0.0.1 dst 10.0.0.2 dir out tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 3 mode beet"},
	{"AH and any protocol", "add src 10.4.0.0/24 dst 10.5.0.0/24 proto 89 dir out priority 4294967295 tmpl proto ah mode transport reqid 9"},
	{"allow without templates", "add src ::/0 dst ::/0 dir out priority 1"},
	{"mark with bits outside its mask", "add src 10.6.0.0/24 dst 10.7.0.0/24 dir out mark 0x1ff mask 0xff"},
}

func (n *netns) addSAs() {
	n.t.Helper()
	for _, c := range saCommands {
		n.ip("xfrm state " + c.args)
	}
}

func (n *netns) addPolicies() {
	n.t.Helper()
	for _, c := range policyCommands {
		n.ip("xfrm policy " + c.args)
	}
}
