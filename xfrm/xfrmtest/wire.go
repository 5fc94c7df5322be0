package xfrmtest

import (
	"encoding/binary"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The layouts are written down here a second time, not shared with package xfrm, so that a mistake in either shows.

// Sizes of the structs of <linux/xfrm.h>.
const (
	sizeofHeader       = 16 // struct nlmsghdr
	sizeofSelector     = 56
	sizeofTmpl         = 64
	sizeofUsersaInfo   = 224
	sizeofUsersaID     = 24
	sizeofPolicyInfo   = 168
	sizeofPolicyID     = 64
	sizeofAeventID     = 48
	sizeofMigrateState = 132
	sizeofSpiInfo      = 232 // struct xfrm_userspi_info
	sizeofAlgo         = 68  // struct xfrm_algo without its key
	sizeofAlgoAuth     = 72  // struct xfrm_algo_auth without its key
	sizeofAlgoAEAD     = 72  // struct xfrm_algo_aead without its key
	sizeofReplayESN    = 24  // struct xfrm_replay_state_esn without its bitmap
	sizeofSecCtx       = 8   // struct xfrm_user_sec_ctx without the label
	sizeofEncap        = 24
	sizeofOffload      = 8
)

// Message and attribute types that package xfrm has no use for.
const (
	msgMax        = 0x29 // XFRM_MSG_MAX with MIGRATE_STATE; one less on kernels before 7.2
	msgNewSADInfo = 0x22

	attrSA           = 6
	attrPolicy       = 7
	attrReplayThresh = 11
	attrETimer       = 12
	attrSrcAddr      = 13
	attrCoAddr       = 14
	attrMigrate      = 17
	attrKMAddress    = 19
	attrProto        = 25
	attrAddrFilter   = 26
	attrIPTFSFirst   = 36 // XFRMA_IPTFS_DROP_TIME
	attrMax          = 41 // XFRMA_IPTFS_PKT_SIZE
)

// Flags of SAs: XFRM_STATE_* and XFRM_SA_XFLAG_*.
const (
	stateNoPMTUDisc = 4
	stateWildRecv   = 8
	stateICMP       = 16
	stateAFUnspec   = 32
	stateDecapDSCP  = 2
	stateESN        = 128

	xflagDontEncapDSCP = 1
	xflagOseqMayWrap   = 2
)

// maxDepth is XFRM_MAX_DEPTH, the most transformations of one packet.
const maxDepth = 6

var (
	ne = binary.NativeEndian
	be = binary.BigEndian
)

func align4(n int) int { return (n + 3) &^ 3 }

func appendAttr(b []byte, typ uint16, payload []byte) []byte {
	b = ne.AppendUint16(b, uint16(4+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = append(b, payload...)
	return append(b, make([]byte, align4(len(payload))-len(payload))...)
}

func appendAttr32(b []byte, typ uint16, v uint32) []byte {
	return appendAttr(b, typ, ne.AppendUint32(nil, v))
}

// appendMark appends XFRMA_MARK as the kernel does: not at all if mark and mask are zero.
func appendMark(b []byte, m xfrm.Mark) []byte {
	if m == (xfrm.Mark{}) {
		return b
	}
	return appendAttr(b, xfrm.AttrMark, ne.AppendUint32(ne.AppendUint32(nil, m.Value), m.Mask))
}

func appendIfID(b []byte, id uint32) []byte {
	if id == 0 {
		return b
	}
	return appendAttr32(b, xfrm.AttrIfID, id)
}

// appendMessage appends a netlink message, padded.
func appendMessage(b []byte, typ, flags uint16, seq, port uint32, payload []byte) []byte {
	b = ne.AppendUint32(b, uint32(sizeofHeader+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, port)
	b = append(b, payload...)
	return append(b, make([]byte, align4(len(payload))-len(payload))...)
}

// rawSelector is struct xfrm_selector, padding and all: what the kernel keeps and compares.
type rawSelector [sizeofSelector]byte

func (s *rawSelector) family() xfrm.Family { return xfrm.Family(ne.Uint16(s[40:])) }
func (s *rawSelector) setFamily(f xfrm.Family) {
	ne.PutUint16(s[40:], uint16(f))
}
func (s *rawSelector) dstLen() uint8 { return s[42] }
func (s *rawSelector) srcLen() uint8 { return s[43] }

func rawSelectorOf(s *xfrm.Selector) (r rawSelector) {
	copy(r[0:], s.Dst[:])
	copy(r[16:], s.Src[:])
	be.PutUint16(r[32:], s.DPort)
	be.PutUint16(r[34:], s.DPortMask)
	be.PutUint16(r[36:], s.SPort)
	be.PutUint16(r[38:], s.SPortMask)
	r.setFamily(s.Family)
	r[42], r[43], r[44] = s.DstLen, s.SrcLen, s.Proto
	ne.PutUint32(r[48:], uint32(s.IfIndex))
	ne.PutUint32(r[52:], s.User)
	return r
}

// decode returns the selector as package xfrm sees it.
func (s *rawSelector) decode() xfrm.Selector {
	m, err := xfrm.DecodeMigration(append(make([]byte, 64), append(s[:], make([]byte, sizeofMigrateState-64-sizeofSelector)...)...))
	if err != nil {
		panic(err) // 132 bytes and no attributes can't fail
	}
	return m.NewSel
}

func appendLimits(b []byte, l *xfrm.LifetimeLimits) []byte {
	for _, v := range [...]uint64{
		l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets, l.SoftAdd, l.HardAdd, l.SoftUse, l.HardUse,
	} {
		b = ne.AppendUint64(b, v)
	}
	return b
}

func appendLifetime(b []byte, l *xfrm.Lifetime) []byte {
	for _, v := range [...]uint64{l.Bytes, l.Packets, l.AddTime, l.UseTime} {
		b = ne.AppendUint64(b, v)
	}
	return b
}

func decodeID(b []byte) xfrm.SAID {
	return xfrm.SAID{
		Dst: xfrm.Address(b[0:16]), SPI: xfrm.SPI(be.Uint32(b[16:])), Family: xfrm.Family(ne.Uint16(b[20:])), Proto: xfrm.Proto(b[22]),
	}
}

func appendID(b []byte, id *xfrm.SAID) []byte {
	b = append(b, id.Dst[:]...)
	b = be.AppendUint32(b, uint32(id.SPI))
	b = ne.AppendUint16(b, uint16(id.Family))
	return append(b, byte(id.Proto), 0)
}
