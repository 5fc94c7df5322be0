package xfrmtest

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Packet is what the kernel looks at of an inner packet when it matches selectors: struct flowi.
type Packet struct {
	Src, Dst     netip.Addr
	Proto        uint8
	SPort, DPort uint16 // for ICMP type and code
	Mark         uint32
	IfID         uint32 // of the XFRM interface it goes through, 0 for none
	IfIndex      int32  // of the device it leaves by
	CPU          uint32 // that handles it
	Bytes        uint64
}

func (p *Packet) family() xfrm.Family { return xfrm.FamilyOf(p.Dst) }

// ports gives what stands for ports, 0 for protocols without (xfrm_flowi_sport, xfrm_flowi_dport).
func (p *Packet) ports() (src, dst uint16) {
	switch p.Proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, unix.IPPROTO_GRE:
		return p.SPort, p.DPort
	}
	return 0, 0
}

// matches is xfrm_selector_match. The selector's user is not looked at.
func matches(s *xfrm.Selector, p *Packet) bool {
	if s.Family != xfrm.FamilyUnspec && s.Family != p.family() {
		return false
	}
	f := p.family()
	sport, dport := p.ports()
	return within(p.Dst, s.Dst.IP(f), s.DstLen) && within(p.Src, s.Src.IP(f), s.SrcLen) &&
		(dport^s.DPort)&s.DPortMask == 0 && (sport^s.SPort)&s.SPortMask == 0 &&
		(s.Proto == 0 || s.Proto == p.Proto) && (s.IfIndex == 0 || s.IfIndex == p.IfIndex)
}

func within(a, net netip.Addr, bits uint8) bool {
	return bits == 0 || netip.PrefixFrom(net, int(bits)).Masked().Contains(a)
}

// Example returns a packet that the selector matches, with the first address of each prefix.
func Example(s *xfrm.Selector) Packet {
	p := Packet{Proto: s.Proto, SPort: s.SPort, DPort: s.DPort, IfIndex: s.IfIndex, Bytes: 100}
	p.Src, p.Dst = s.SrcPrefix().Masked().Addr(), s.DstPrefix().Masked().Addr()
	if p.Proto == 0 {
		p.Proto = unix.IPPROTO_UDP
	}
	return p
}
