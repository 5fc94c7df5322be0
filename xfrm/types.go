package xfrm

import (
	"fmt"
	"strconv"
)

// SPI is a security parameter index in host byte order (RFC 4301, 4.1).
type SPI uint32

// String formats the SPI as `ip xfrm` does: 0x and eight digits.
func (s SPI) String() string { return fmt.Sprintf("0x%08x", uint32(s)) }

// Proto is the IPsec protocol of an SA or template: an IP protocol number.
type Proto uint8

// The protocols that XFRM has transforms for.
const (
	ProtoAny     Proto = 255 // IPSEC_PROTO_ANY: a template that any of ESP, AH and IPComp satisfies
	ProtoESP     Proto = 50
	ProtoAH      Proto = 51
	ProtoComp    Proto = 108
	ProtoRouting Proto = 43 // Mobile IPv6 route optimisation
	ProtoDstOpts Proto = 60 // Mobile IPv6 home address
)

var protoNames = map[Proto]string{
	ProtoAny: "any", ProtoESP: "esp", ProtoAH: "ah", ProtoComp: "comp", ProtoRouting: "route2", ProtoDstOpts: "hao",
}

// String gives the name that `ip xfrm` uses, or the number.
func (p Proto) String() string {
	if n, ok := protoNames[p]; ok {
		return n
	}
	return strconv.Itoa(int(p))
}

// Mode is how an SA treats the packet: XFRM_MODE_*.
type Mode uint8

// The modes of <linux/xfrm.h>.
const (
	ModeTransport Mode = 0
	ModeTunnel    Mode = 1
	ModeRO        Mode = 2 // route optimisation (Mobile IPv6)
	ModeInTrigger Mode = 3
	ModeBEET      Mode = 4
	ModeIPTFS     Mode = 5
)

var modeNames = [...]string{"transport", "tunnel", "ro", "in_trigger", "beet", "iptfs"}

// String gives the name that `ip xfrm` uses, or the number.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return strconv.Itoa(int(m))
}

// Dir is the direction of a policy: XFRM_POLICY_IN, OUT or FWD. In the kernel's numbering it is also the low bits of a
// policy's index, and values from 3 on are per-socket policies.
type Dir uint8

// The directions of the SPD.
const (
	DirIn  Dir = 0
	DirOut Dir = 1
	DirFwd Dir = 2
)

var dirNames = [...]string{"in", "out", "fwd"}

// String gives the name that `ip xfrm` uses; per-socket policies say so.
func (d Dir) String() string {
	if int(d) < len(dirNames) {
		return dirNames[d]
	}
	return "socket"
}

// SADir is the direction that an SA was installed for (XFRMA_SA_DIR). Zero means that the owner did not say.
type SADir uint8

// The values of enum xfrm_sa_dir.
const (
	SADirUnset SADir = 0
	SADirIn    SADir = 1
	SADirOut   SADir = 2
)

// String gives in, out or unset.
func (d SADir) String() string {
	switch d {
	case SADirIn:
		return "in"
	case SADirOut:
		return "out"
	}
	return "unset"
}

// Action is what a policy does with the packets it matches.
type Action uint8

// The actions of <linux/xfrm.h>.
const (
	Allow Action = 0
	Block Action = 1
)

// String gives allow or block.
func (a Action) String() string {
	if a == Block {
		return "block"
	}
	return "allow"
}

// Mark is struct xfrm_mark: a packet's mark m matches if m & Mask == Value. The zero Mark matches everything and is
// what an SA or policy without XFRMA_MARK has.
type Mark struct {
	Value uint32
	Mask  uint32
}

// Key is the part of the mark that takes part in looking up an SA.
func (m Mark) Key() uint32 { return m.Value & m.Mask }

// String formats as `ip xfrm` does: 0x1/0xff.
func (m Mark) String() string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }
