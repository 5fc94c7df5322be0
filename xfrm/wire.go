package xfrm

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the structs of <linux/xfrm.h> as the kernel expects them, trailing padding included.
const (
	sizeofSelector     = 56  // struct xfrm_selector
	sizeofTmpl         = 64  // struct xfrm_user_tmpl
	sizeofUsersaID     = 24  // struct xfrm_usersa_id
	sizeofUsersaInfo   = 224 // struct xfrm_usersa_info
	sizeofPolicyInfo   = 168 // struct xfrm_userpolicy_info; without its padding the kernel answers -EINVAL
	sizeofPolicyID     = 64  // struct xfrm_userpolicy_id
	sizeofAeventID     = 48  // struct xfrm_aevent_id
	sizeofMigrateState = 132 // struct xfrm_user_migrate_state
	sizeofEncap        = 24  // struct xfrm_encap_tmpl
	sizeofOffload      = 8   // struct xfrm_user_offload
	sizeofMark         = 8   // struct xfrm_mark
	sizeofLifetimeCfg  = 64  // struct xfrm_lifetime_cfg
	sizeofLifetimeCur  = 32  // struct xfrm_lifetime_cur
	sizeofPolicyType   = 6   // struct xfrm_userpolicy_type
	sizeofReplay       = 12  // struct xfrm_replay_state
	sizeofReplayESN    = 24  // struct xfrm_replay_state_esn without its bitmap
	sizeofSPDInfo      = 24  // struct xfrmu_spdinfo
	sizeofSPDHThresh   = 2   // struct xfrmu_spdhthresh
	sizeofAcquire      = 24 + 16 + sizeofSelector + sizeofPolicyInfo + 16
	sizeofExpire       = sizeofUsersaInfo + 8
	sizeofPolExpire    = sizeofPolicyInfo + 8
)

// Message types: XFRM_MSG_*.
const (
	MsgNewSA        = 0x10
	MsgDelSA        = 0x11
	MsgGetSA        = 0x12
	MsgNewPolicy    = 0x13
	MsgDelPolicy    = 0x14
	MsgGetPolicy    = 0x15
	MsgAllocSPI     = 0x16
	MsgAcquire      = 0x17
	MsgExpire       = 0x18
	MsgUpdPolicy    = 0x19
	MsgUpdSA        = 0x1a
	MsgPolExpire    = 0x1b
	MsgFlushSA      = 0x1c
	MsgFlushPolicy  = 0x1d
	MsgNewAE        = 0x1e
	MsgGetAE        = 0x1f
	MsgMigrate      = 0x21
	MsgNewSADInfo   = 0x22
	MsgGetSADInfo   = 0x23
	MsgNewSPDInfo   = 0x24
	MsgGetSPDInfo   = 0x25
	MsgMapping      = 0x26
	MsgMigrateState = 0x29 // Linux 7.2 and later with CONFIG_XFRM_MIGRATE
)

// Attribute types: XFRMA_*.
const (
	AttrAlgAuth      = 1
	AttrAlgCrypt     = 2
	AttrAlgComp      = 3
	AttrEncap        = 4
	AttrTmpl         = 5
	AttrSecCtx       = 8
	AttrLtimeVal     = 9
	AttrReplayVal    = 10
	AttrLastUsed     = 15
	AttrPolicyType   = 16
	AttrAlgAEAD      = 18
	AttrAlgAuthTrunc = 20
	AttrMark         = 21
	AttrTFCPad       = 22
	AttrReplayESN    = 23
	AttrExtraFlags   = 24
	AttrPad          = 27
	AttrOffloadDev   = 28
	AttrSetMark      = 29
	AttrSetMarkMask  = 30
	AttrIfID         = 31
	AttrMTimer       = 32 // XFRMA_MTIMER_THRESH
	AttrSADir        = 33
	AttrNATKeepalive = 34 // XFRMA_NAT_KEEPALIVE_INTERVAL
	AttrPCPU         = 35
)

// The XFRM structs are in host byte order but for addresses, SPIs and ports, which are in network order.
var (
	ne = binary.NativeEndian
	be = binary.BigEndian
)

// errShort is what every decoder returns for a message or attribute that is smaller than its struct.
var errShort = errors.New("shorter than its struct")

func shortOf(what string, got, want int) error {
	return fmt.Errorf("%s of %d bytes, want %d: %w", what, got, want, errShort)
}

func align4(n int) int { return (n + 3) &^ 3 }

// appendAttr appends one netlink attribute, padded to four bytes.
func appendAttr(b []byte, typ uint16, payload []byte) []byte {
	b = ne.AppendUint16(b, uint16(4+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = append(b, payload...)
	return append(b, make([]byte, align4(len(payload))-len(payload))...)
}

func appendAttr32(b []byte, typ uint16, v uint32) []byte {
	b = ne.AppendUint16(b, 8)
	b = ne.AppendUint16(b, typ)
	return ne.AppendUint32(b, v)
}

// eachAttr calls f for each attribute of b; payload aliases b. typ is as it stands there: XFRM sets neither
// NLA_F_NESTED nor NLA_F_NET_BYTEORDER, and an attribute that does is one that this package doesn't know.
func eachAttr(b []byte, f func(typ uint16, payload []byte) error) error {
	for len(b) >= 4 {
		n := int(ne.Uint16(b))
		if n < 4 || n > len(b) {
			return fmt.Errorf("attribute %d says it has %d bytes, %d are left: %w", ne.Uint16(b[2:]), n, len(b), errShort)
		}
		if err := f(ne.Uint16(b[2:]), b[4:n]); err != nil {
			return err
		}
		b = b[min(align4(n), len(b)):]
	}
	if len(b) != 0 {
		return fmt.Errorf("%d stray bytes after the attributes: %w", len(b), errShort)
	}
	return nil
}

func attr32(what string, p []byte) (uint32, error) {
	if len(p) < 4 {
		return 0, shortOf(what, len(p), 4)
	}
	return ne.Uint32(p), nil
}

func attrMark(p []byte) (Mark, error) {
	if len(p) < sizeofMark {
		return Mark{}, shortOf("mark", len(p), sizeofMark)
	}
	return Mark{ne.Uint32(p), ne.Uint32(p[4:])}, nil
}

func appendMark(b []byte, m Mark) []byte {
	b = ne.AppendUint16(b, 4+sizeofMark)
	b = ne.AppendUint16(b, AttrMark)
	b = ne.AppendUint32(b, m.Value)
	return ne.AppendUint32(b, m.Mask)
}
