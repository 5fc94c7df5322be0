package xfrm

import (
	"fmt"
	"net/netip"
)

// Template is struct xfrm_user_tmpl: the SA that a policy asks for. Zero Reqid and SPI and wildcard addresses match
// any.
type Template struct {
	Dst      Address
	SPI      SPI
	Proto    Proto
	Family   Family // of Dst and Src, the outer addresses
	Src      Address
	Reqid    uint32
	Mode     Mode
	Share    uint8
	Optional uint8  // non-zero: IPComp and the like may be skipped
	AAlgos   uint32 // bit masks of algorithm numbers, all ones as a rule
	EAlgos   uint32
	CAlgos   uint32
	pad      [6]byte // bytes 21-23, 26-27 and 51 of the struct, kept as they are
}

// SrcIP returns the outer source address.
func (t *Template) SrcIP() netip.Addr { return t.Src.IP(t.Family) }

// DstIP returns the outer destination address.
func (t *Template) DstIP() netip.Addr { return t.Dst.IP(t.Family) }

// String formats as `ip xfrm` does: "src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel".
func (t Template) String() string {
	s := fmt.Sprintf("src %v dst %v proto %v", t.SrcIP(), t.DstIP(), t.Proto)
	if t.SPI != 0 {
		s += fmt.Sprintf(" spi %v", t.SPI)
	}
	return s + fmt.Sprintf(" reqid %d mode %v", t.Reqid, t.Mode)
}

func (t *Template) appendTo(b []byte) []byte {
	b = append(b, t.Dst[:]...)
	b = be.AppendUint32(b, uint32(t.SPI))
	b = append(b, byte(t.Proto), t.pad[0], t.pad[1], t.pad[2])
	b = ne.AppendUint16(b, uint16(t.Family))
	b = append(b, t.pad[3], t.pad[4])
	b = append(b, t.Src[:]...)
	b = ne.AppendUint32(b, t.Reqid)
	b = append(b, byte(t.Mode), t.Share, t.Optional, t.pad[5])
	b = ne.AppendUint32(b, t.AAlgos)
	b = ne.AppendUint32(b, t.EAlgos)
	return ne.AppendUint32(b, t.CAlgos)
}

func (t *Template) decode(b []byte) {
	_ = b[sizeofTmpl-1]
	t.Dst = Address(b[0:16])
	t.SPI = SPI(be.Uint32(b[16:]))
	t.Proto = Proto(b[20])
	t.Family = Family(ne.Uint16(b[24:]))
	t.Src = Address(b[28:44])
	t.Reqid = ne.Uint32(b[44:])
	t.Mode, t.Share, t.Optional = Mode(b[48]), b[49], b[50]
	t.AAlgos, t.EAlgos, t.CAlgos = ne.Uint32(b[52:]), ne.Uint32(b[56:]), ne.Uint32(b[60:])
	t.pad = [6]byte{b[21], b[22], b[23], b[26], b[27], b[51]}
}

// templateSlab hands out room for single templates, many of which are allocated at a time.
type templateSlab struct {
	free []Template
	size int // of the next allocation
}

// one returns room for one. The first ones come alone, so that a single policy doesn't keep what many would need.
func (s *templateSlab) one() []Template {
	if len(s.free) == 0 {
		s.size = min(max(1, 2*s.size), 128)
		s.free = make([]Template, s.size)
	}
	t := s.free[:1:1]
	s.free = s.free[1:]
	return t
}
