package schema

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	dottedQuad   = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)
	leadingZeros = regexp.MustCompile(`(^|\.)0+([0-9])`)
	dottedMask   = regexp.MustCompile(`^(\d+\.\d+\.\d+\.\d+)/(\d+\.\d+\.\d+\.\d+)$`)
)

// prefix is a prefix without host bits; an address is the prefix of that host. ok is false if it was refused.
func (l *loader) prefix(n *yaml.Node) (p netip.Prefix, ok bool) {
	v := n.Value
	address, length, isPrefix := strings.Cut(v, "/")
	switch {
	case strings.Contains(v, "%"):
		bare, _, _ := strings.Cut(address, "%")
		l.refuse(n, zone, "an address with a zone", "write it without: "+bare)
		return p, false
	case dottedQuad.MatchString(address) && leadingZeros.MatchString(address):
		l.refuse(n, leadingZero, "leading zeros, which some programs read as octal",
			"write "+leadingZeros.ReplaceAllString(v, "$1$2")+" if decimal is meant")
		return p, false
	}
	a, err := netip.ParseAddr(address)
	if err != nil || strings.TrimSpace(v) != v {
		l.badAddress(n)
		return p, false
	}
	if a.Is4In6() {
		l.refuse(n, mappedAddress, "an IPv4 address written as IPv6", "write "+a.Unmap().String())
		return p, false
	}
	if !isPrefix {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if m := dottedMask.FindStringSubmatch(v); m != nil {
		if bits := maskLength(m[2]); bits >= 0 {
			l.refuse(n, badAddress, "a netmask instead of a prefix length", fmt.Sprintf("write %s/%d", m[1], bits))
			return p, false
		}
	}
	p, err = netip.ParsePrefix(v)
	if err != nil {
		l.refuse(n, badAddress, "a prefix length of "+quote(length), fmt.Sprintf("write /0 to /%d, without leading zeros", a.BitLen()))
		return p, false
	}
	if masked := p.Masked(); masked != p {
		l.refuse(n, hostBits, "a prefix with host bits", fmt.Sprintf("write %s for the prefix, or %s for the host", masked, a))
		return p, false
	}
	return p, true
}

func (l *loader) badAddress(n *yaml.Node) {
	hint := "write for example 192.0.2.7, 192.0.2.0/28 or 2001:db8:10::/64"
	if t := strings.Trim(n.Value, " []"); t != n.Value {
		if _, err := netip.ParseAddr(t); err == nil {
			hint = "write " + t
		}
	}
	l.refuse(n, badAddress, "not an IP address or prefix", hint)
}

// maskLength is the length of a dotted netmask, or -1 if it is none.
func maskLength(s string) int {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return -1
	}
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for bits := 0; bits <= 32; bits++ {
		if v == uint32(uint64(0xffffffff)<<(32-bits)) {
			return bits
		}
	}
	return -1
}

// noTunnelEnd are the ranges that an outer address cannot be in.
var noTunnelEnd = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified (0.0.0.0/8)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback (127.0.0.0/8)"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (169.254.0.0/16)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast (224.0.0.0/4)"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast (255.255.255.255)"},
	{netip.MustParsePrefix("::/128"), "unspecified (::)"},
	{netip.MustParsePrefix("::1/128"), "loopback (::1)"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped (::ffff:0:0/96)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local (fe80::/10)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast (ff00::/8)"},
}

// outer is a prefix of addresses that a tunnel can end at.
func (l *loader) outer(n *yaml.Node) (netip.Prefix, bool) {
	p, ok := l.prefix(n)
	if !ok {
		return p, false
	}
	for _, r := range noTunnelEnd {
		if !p.Overlaps(r.prefix) {
			continue
		}
		message := "no tunnel ends at an address that is " + r.what
		if p.Bits() < r.prefix.Bits() {
			message = "this prefix holds addresses no tunnel ends at: " + r.what
		}
		l.refuse(n, addressScope, message, "write the outer prefixes of your gateways")
		return p, false
	}
	return p, true
}
