package xfrm

import (
	"fmt"
	"net/netip"
	"strings"
)

// Selector is struct xfrm_selector, the traffic that a policy or an SA is for. Two selectors are the same to the kernel
// if all of their bytes are: a Selector is comparable and keeps them all, padding too.
//
// User is not matched against packets, which is why it can carry a tag (see Tag).
type Selector struct {
	Dst, Src         Address
	DPort, DPortMask uint16 // host byte order
	SPort, SPortMask uint16 // host byte order; for ICMP the ports are type and code
	Family           Family // 0 matches every family: what strongSwan gives tunnel SAs
	DstLen, SrcLen   uint8  // prefix lengths
	Proto            uint8  // IP protocol, 0 for any
	pad              [3]byte
	IfIndex          int32
	User             uint32
}

// SelectorFor returns the selector of all traffic from src to dst, which are of one family.
func SelectorFor(src, dst netip.Prefix) Selector {
	return Selector{
		Dst: AddressFrom(dst.Masked().Addr()), Src: AddressFrom(src.Masked().Addr()),
		Family: FamilyOf(dst.Addr()), DstLen: uint8(dst.Bits()), SrcLen: uint8(src.Bits()),
	}
}

// SrcPrefix returns the source as a prefix, or the invalid Prefix if the selector has no family.
func (s *Selector) SrcPrefix() netip.Prefix {
	return netip.PrefixFrom(s.Src.IP(s.Family), int(s.SrcLen))
}

// DstPrefix returns the destination as a prefix, or the invalid Prefix if the selector has no family.
func (s *Selector) DstPrefix() netip.Prefix {
	return netip.PrefixFrom(s.Dst.IP(s.Family), int(s.DstLen))
}

// Tagged returns the selector with User set, which matches exactly the same packets.
func (s Selector) Tagged(user uint32) Selector {
	s.User = user
	return s
}

// Reversed returns the selector of the opposite direction.
func (s Selector) Reversed() Selector {
	s.Src, s.Dst = s.Dst, s.Src
	s.SrcLen, s.DstLen = s.DstLen, s.SrcLen
	s.SPort, s.DPort = s.DPort, s.SPort
	s.SPortMask, s.DPortMask = s.DPortMask, s.SPortMask
	return s
}

// String formats as "10.1.0.0/24 -> 10.2.0.0/24", with protocol, ports and interface where the selector names them.
func (s Selector) String() string {
	var b strings.Builder
	if s.Family == FamilyUnspec {
		b.WriteString("any -> any")
	} else {
		fmt.Fprintf(&b, "%v -> %v", s.SrcPrefix(), s.DstPrefix())
	}
	if s.Proto != 0 {
		fmt.Fprintf(&b, " proto %d", s.Proto)
	}
	if s.SPortMask != 0 {
		fmt.Fprintf(&b, " sport %d/%#x", s.SPort, s.SPortMask)
	}
	if s.DPortMask != 0 {
		fmt.Fprintf(&b, " dport %d/%#x", s.DPort, s.DPortMask)
	}
	if s.IfIndex != 0 {
		fmt.Fprintf(&b, " dev %d", s.IfIndex)
	}
	return b.String()
}

// appendTo appends struct xfrm_selector.
func (s *Selector) appendTo(b []byte) []byte {
	b = append(b, s.Dst[:]...)
	b = append(b, s.Src[:]...)
	b = be.AppendUint16(b, s.DPort)
	b = be.AppendUint16(b, s.DPortMask)
	b = be.AppendUint16(b, s.SPort)
	b = be.AppendUint16(b, s.SPortMask)
	b = ne.AppendUint16(b, uint16(s.Family))
	b = append(b, s.DstLen, s.SrcLen, s.Proto)
	b = append(b, s.pad[:]...)
	b = ne.AppendUint32(b, uint32(s.IfIndex))
	return ne.AppendUint32(b, s.User)
}

// decode reads struct xfrm_selector from the first sizeofSelector bytes of b.
func (s *Selector) decode(b []byte) {
	_ = b[sizeofSelector-1]
	s.Dst = Address(b[0:16])
	s.Src = Address(b[16:32])
	s.DPort = be.Uint16(b[32:])
	s.DPortMask = be.Uint16(b[34:])
	s.SPort = be.Uint16(b[36:])
	s.SPortMask = be.Uint16(b[38:])
	s.Family = Family(ne.Uint16(b[40:]))
	s.DstLen, s.SrcLen, s.Proto = b[42], b[43], b[44]
	s.pad = [3]byte(b[45:48])
	s.IfIndex = int32(ne.Uint32(b[48:]))
	s.User = ne.Uint32(b[52:])
}
