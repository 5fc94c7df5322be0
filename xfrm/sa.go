package xfrm

import (
	"fmt"
	"net/netip"
)

// SAID is struct xfrm_usersa_id: with the mark's key it is what the kernel finds an SA by.
type SAID struct {
	Dst    Address
	SPI    SPI
	Family Family // of Dst
	Proto  Proto
}

// DstIP returns the outer destination address.
func (id SAID) DstIP() netip.Addr { return id.Dst.IP(id.Family) }

// String formats as "esp 0xc6f8e81d to 192.0.2.1".
func (id SAID) String() string { return fmt.Sprintf("%v %v to %v", id.Proto, id.SPI, id.DstIP()) }

// AppendTo appends struct xfrm_usersa_id.
func (id *SAID) AppendTo(b []byte) []byte {
	b = append(b, id.Dst[:]...)
	b = be.AppendUint32(b, uint32(id.SPI))
	b = ne.AppendUint16(b, uint16(id.Family))
	return append(b, byte(id.Proto), 0)
}

// DecodeSAID decodes struct xfrm_usersa_id.
func DecodeSAID(b []byte) (id SAID, err error) {
	if len(b) < sizeofUsersaID {
		return id, shortOf("xfrm_usersa_id", len(b), sizeofUsersaID)
	}
	id.decode(b)
	return id, nil
}

func (id *SAID) decode(b []byte) {
	_ = b[sizeofUsersaID-1]
	id.Dst = Address(b[0:16])
	id.SPI = SPI(be.Uint32(b[16:]))
	id.Family = Family(ne.Uint16(b[20:]))
	id.Proto = Proto(b[22])
}

// SA is what the kernel tells of a security association but for its algorithms and keys, which are never decoded.
type SA struct {
	ID      SAID
	Src     Address // of the family of ID
	Sel     Selector
	Limits  LifetimeLimits
	Current Lifetime
	Stats   Stats
	Reqid   uint32
	Mode    Mode
	Flags   uint8 // XFRM_STATE_*
	Window  uint8 // replay window of an SA without the ESN attribute; see Replay

	Replay       Replay
	Mark         Mark
	OutputMark   Mark // XFRMA_SET_MARK and its mask; zero is none
	IfID         uint32
	Dir          SADir
	Encap        Encap   // zero Type is none
	Offload      Offload // zero IfIndex is none
	MTimer       uint32  // XFRMA_MTIMER_THRESH in seconds, 0 is none
	NATKeepalive uint32  // seconds, 0 is none
	ExtraFlags   uint32  // XFRM_SA_XFLAG_*
	TFCPad       uint32
	LastUsed     uint64 // seconds since the Unix epoch, 0 for never
	CPU          uint32 // of a per-CPU SA, else AnyCPU
	Label        string // struct xfrm_user_sec_ctx as it is, empty if none
	HasAlgorithm bool   // false for a larval SA, which an SPI was allocated for and nothing more
}

// AnyCPU is the CPU of an SA that is not per-CPU.
const AnyCPU = ^uint32(0)

// Stats is struct xfrm_stats: packets dropped on an SA.
type Stats struct{ ReplayWindow, Replay, IntegrityFailed uint32 }

// Replay is an SA's sequence numbers: the last one sent and the highest one received. With extended sequence numbers
// (RFC 4304) they are 64 bits.
type Replay struct {
	Sent, Received uint64
	Window         uint32 // packets; 0 in the short form, where it stands in SA.Window
	ESN            bool   // read from XFRMA_REPLAY_ESN_VAL (long windows use it without extended numbers too)
}

// Encap is struct xfrm_encap_tmpl: ESP in UDP (RFC 3948). Ports are in host byte order.
type Encap struct {
	Type         uint16 // EncapNone, EncapESPinUDP or another value of <linux/udp.h>
	SPort, DPort uint16
	OA           Address // original address, for transport mode
}

// Types of encapsulation.
const (
	EncapNone     = 0
	EncapESPinUDP = 2
)

// Offload is struct xfrm_user_offload.
type Offload struct {
	IfIndex int32
	Flags   uint8 // OffloadIPv6, OffloadInbound, OffloadPacket
}

// Flags of Offload.
const (
	OffloadIPv6    = 1
	OffloadInbound = 2
	OffloadPacket  = 4
)

// SrcIP returns the outer source address.
func (sa *SA) SrcIP() netip.Addr { return sa.Src.IP(sa.ID.Family) }

// DstIP returns the outer destination address.
func (sa *SA) DstIP() netip.Addr { return sa.ID.DstIP() }

// Larval reports whether the SA is one that an ACQUIRE or ALLOCSPI left behind and that carries no traffic. So is, for
// who moves SAs, the IPIP SA (protocol 4) that the kernel itself makes, moves and removes with an IPComp tunnel.
func (sa *SA) Larval() bool { return sa.ID.SPI == 0 || !sa.HasAlgorithm }

// DecodeSA decodes the payload of a XFRM_MSG_NEWSA message: struct xfrm_usersa_info and attributes. Nothing in sa
// aliases b.
func DecodeSA(b []byte) (sa SA, err error) {
	err = sa.decode(b)
	return sa, err
}

func (sa *SA) decode(b []byte) error {
	if len(b) < sizeofUsersaInfo {
		return shortOf("xfrm_usersa_info", len(b), sizeofUsersaInfo)
	}
	sa.decodeInfo(b)
	return eachAttr(b[sizeofUsersaInfo:], sa.decodeAttr)
}

// decodeInfo decodes struct xfrm_usersa_info.
func (sa *SA) decodeInfo(b []byte) {
	_ = b[sizeofUsersaInfo-1]
	sa.Sel.decode(b)
	sa.ID.Dst = Address(b[56:72])
	sa.ID.SPI = SPI(be.Uint32(b[72:]))
	sa.ID.Proto = Proto(b[76])
	sa.Src = Address(b[80:96])
	sa.Limits.decode(b[96:])
	sa.Current.decode(b[160:])
	sa.Stats = Stats{ne.Uint32(b[192:]), ne.Uint32(b[196:]), ne.Uint32(b[200:])}
	sa.Reqid = ne.Uint32(b[208:])
	sa.ID.Family = Family(ne.Uint16(b[212:]))
	sa.Mode, sa.Window, sa.Flags = Mode(b[214]), b[215], b[216]
	sa.CPU = AnyCPU // until XFRMA_SA_PCPU says otherwise
}

func (sa *SA) decodeAttr(typ uint16, p []byte) (err error) {
	switch typ {
	case AttrAlgAuth, AttrAlgCrypt, AttrAlgComp, AttrAlgAEAD, AttrAlgAuthTrunc:
		sa.HasAlgorithm = true // that there is one is all that is read of it
	case AttrEncap:
		sa.Encap, err = decodeEncap(p)
	case AttrReplayVal, AttrReplayESN:
		sa.Replay, err = decodeReplay(typ, p)
	case AttrMark:
		sa.Mark, err = attrMark(p)
	case AttrSetMark:
		sa.OutputMark.Value, err = attr32("set-mark", p)
	case AttrSetMarkMask:
		sa.OutputMark.Mask, err = attr32("set-mark mask", p)
	case AttrIfID:
		sa.IfID, err = attr32("if_id", p)
	case AttrMTimer:
		sa.MTimer, err = attr32("mtimer", p)
	case AttrNATKeepalive:
		sa.NATKeepalive, err = attr32("NAT keepalive", p)
	case AttrExtraFlags:
		sa.ExtraFlags, err = attr32("extra flags", p)
	case AttrTFCPad:
		sa.TFCPad, err = attr32("TFC padding", p)
	case AttrPCPU:
		sa.CPU, err = attr32("CPU", p)
	case AttrOffloadDev:
		sa.Offload, err = decodeOffload(p)
	case AttrSecCtx:
		sa.Label = string(p)
	case AttrLastUsed:
		if len(p) < 8 {
			return shortOf("last used", len(p), 8)
		}
		sa.LastUsed = ne.Uint64(p)
	case AttrSADir:
		if len(p) < 1 {
			return shortOf("direction", len(p), 1)
		}
		sa.Dir = SADir(p[0])
	}
	return err
}

func decodeReplay(typ uint16, p []byte) (r Replay, err error) {
	if typ == AttrReplayVal {
		if len(p) < sizeofReplay {
			return r, shortOf("xfrm_replay_state", len(p), sizeofReplay)
		}
		return Replay{Sent: uint64(ne.Uint32(p)), Received: uint64(ne.Uint32(p[4:]))}, nil
	}
	if len(p) < sizeofReplayESN {
		return r, shortOf("xfrm_replay_state_esn", len(p), sizeofReplayESN)
	}
	return Replay{
		Sent:     uint64(ne.Uint32(p[4:])) | uint64(ne.Uint32(p[12:]))<<32,
		Received: uint64(ne.Uint32(p[8:])) | uint64(ne.Uint32(p[16:]))<<32,
		Window:   ne.Uint32(p[20:]),
		ESN:      true,
	}, nil
}

func decodeEncap(p []byte) (Encap, error) {
	if len(p) < sizeofEncap {
		return Encap{}, shortOf("xfrm_encap_tmpl", len(p), sizeofEncap)
	}
	return Encap{Type: ne.Uint16(p), SPort: be.Uint16(p[2:]), DPort: be.Uint16(p[4:]), OA: Address(p[8:24])}, nil
}

func (e *Encap) appendAttr(b []byte) []byte {
	b = ne.AppendUint16(b, 4+sizeofEncap)
	b = ne.AppendUint16(b, AttrEncap)
	b = ne.AppendUint16(b, e.Type)
	b = be.AppendUint16(b, e.SPort)
	b = be.AppendUint16(b, e.DPort)
	b = append(b, 0, 0)
	return append(b, e.OA[:]...)
}

func decodeOffload(p []byte) (Offload, error) {
	if len(p) < sizeofOffload {
		return Offload{}, shortOf("xfrm_user_offload", len(p), sizeofOffload)
	}
	return Offload{IfIndex: int32(ne.Uint32(p)), Flags: p[4]}, nil
}

func (o *Offload) appendAttr(b []byte) []byte {
	b = ne.AppendUint16(b, 4+sizeofOffload)
	b = ne.AppendUint16(b, AttrOffloadDev)
	b = ne.AppendUint32(b, uint32(o.IfIndex))
	return append(b, o.Flags, 0, 0, 0)
}
