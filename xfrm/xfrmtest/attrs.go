package xfrmtest

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// attrs are the attributes of a request by type; of several of one type the last counts. What is not there is nil.
type attrs [attrMax + 1][]byte

// attrMin are the least lengths that the kernel's xfrma_policy asks for; longer is fine.
var attrMin = [attrMax + 1]int{
	xfrm.AttrAlgAuth: sizeofAlgo, xfrm.AttrAlgCrypt: sizeofAlgo, xfrm.AttrAlgComp: sizeofAlgo,
	xfrm.AttrAlgAEAD: sizeofAlgoAEAD, xfrm.AttrAlgAuthTrunc: sizeofAlgoAuth,
	attrSA: sizeofUsersaInfo, attrPolicy: sizeofPolicyInfo,
	xfrm.AttrEncap: sizeofEncap, xfrm.AttrTmpl: sizeofTmpl, xfrm.AttrSecCtx: sizeofSecCtx,
	xfrm.AttrLtimeVal: 32, xfrm.AttrReplayVal: 12, attrReplayThresh: 4, attrETimer: 4,
	attrSrcAddr: 16, attrCoAddr: 16, xfrm.AttrLastUsed: 8, xfrm.AttrPolicyType: 6,
	attrMigrate: 76, attrKMAddress: 40, xfrm.AttrMark: 8, xfrm.AttrTFCPad: 4, xfrm.AttrReplayESN: sizeofReplayESN,
	xfrm.AttrExtraFlags: 4, attrProto: 1, attrAddrFilter: 36, xfrm.AttrOffloadDev: sizeofOffload,
	xfrm.AttrSetMark: 4, xfrm.AttrSetMarkMask: 4, xfrm.AttrIfID: 4, xfrm.AttrMTimer: 4,
}

// attrExact are the lengths of the types from XFRMA_SA_DIR on, which the kernel checks strictly.
var attrExact = map[uint16]int{xfrm.AttrSADir: 1, xfrm.AttrNATKeepalive: 4, xfrm.AttrPCPU: 4}

// parseAttrs is nlmsg_parse_deprecated: msg is the request with its header, fixed the size of the struct in front.
func parseAttrs(msg []byte, fixed int) (a attrs, no *refusal) {
	if len(msg) < sizeofHeader+fixed {
		return a, invalid("Invalid header length")
	}
	at := min(sizeofHeader+align4(fixed), len(msg))
	for len(msg)-at >= 4 {
		n := int(ne.Uint16(msg[at:]))
		if n < 4 || n > len(msg)-at {
			break // what can't be an attribute ends the walk, in silence
		}
		typ := ne.Uint16(msg[at+2:]) & 0x3fff
		if typ <= attrMax {
			p := msg[at+4 : at+n]
			if no := checkAttr(typ, p); no != nil {
				no.attr = at
				return a, no
			}
			a[typ] = p
		}
		at = min(at+align4(n), len(msg))
	}
	return a, nil
}

func checkAttr(typ uint16, p []byte) *refusal {
	if want, ok := attrExact[typ]; ok && len(p) != want {
		return invalid("invalid attribute length")
	}
	if typ == xfrm.AttrSADir && p[0] != byte(xfrm.SADirIn) && p[0] != byte(xfrm.SADirOut) {
		return refuse(unix.ERANGE, "integer out of range")
	}
	if len(p) < attrMin[typ] {
		return refuse(unix.ERANGE, "Attribute failed policy validation")
	}
	return nil
}

// rejectUnused is xfrm_reject_unused_attr.
func rejectUnused(typ uint16, a *attrs) *refusal {
	if a[xfrm.AttrSADir] != nil && typ != xfrm.MsgNewSA && typ != xfrm.MsgUpdSA && typ != xfrm.MsgAllocSPI {
		return invalid("Invalid attribute SA_DIR")
	}
	if a[xfrm.AttrPCPU] != nil && typ != xfrm.MsgNewSA && typ != xfrm.MsgUpdSA && typ != xfrm.MsgAllocSPI && typ != xfrm.MsgAcquire {
		return invalid("Invalid attribute SA_PCPU")
	}
	if typ != xfrm.MsgMigrateState {
		return nil
	}
	for i := range a {
		if a[i] == nil {
			continue
		}
		switch i {
		case xfrm.AttrMark, xfrm.AttrEncap, xfrm.AttrOffloadDev, xfrm.AttrSetMark, xfrm.AttrSetMarkMask, xfrm.AttrMTimer, xfrm.AttrNATKeepalive:
		default:
			return invalid("Unsupported attribute in XFRM_MSG_MIGRATE_STATE")
		}
	}
	return nil
}

func (a *attrs) u32(typ int, otherwise uint32) uint32 {
	if a[typ] == nil {
		return otherwise
	}
	return ne.Uint32(a[typ])
}

func (a *attrs) mark() xfrm.Mark {
	if p := a[xfrm.AttrMark]; p != nil {
		return xfrm.Mark{Value: ne.Uint32(p), Mask: ne.Uint32(p[4:])}
	}
	return xfrm.Mark{}
}

// outputMark is xfrm_smark_init: a mark without a mask is set whole, a mask without a mark does nothing.
func (a *attrs) outputMark() xfrm.Mark {
	if a[xfrm.AttrSetMark] == nil {
		return xfrm.Mark{}
	}
	return xfrm.Mark{Value: ne.Uint32(a[xfrm.AttrSetMark]), Mask: a.u32(xfrm.AttrSetMarkMask, ^uint32(0))}
}

// secCtx is verify_sec_ctx_len.
func (a *attrs) secCtx() *refusal {
	p := a[xfrm.AttrSecCtx]
	if p == nil {
		return nil
	}
	n := int(ne.Uint16(p))
	if n > len(p) || n != sizeofSecCtx+int(ne.Uint16(p[6:])) {
		return invalid("Invalid security context length")
	}
	return nil
}

// label is the label as it is stored: selinux_xfrm_alloc_user puts a NUL behind the context, whether it ends with one or not.
func (a *attrs) label() string {
	p := a[xfrm.AttrSecCtx]
	if p == nil {
		return ""
	}
	stored := append(append([]byte(nil), p...), 0)
	ne.PutUint16(stored, ne.Uint16(p)+1)
	ne.PutUint16(stored[6:], ne.Uint16(p[6:])+1)
	return string(stored)
}

// contextOf is what tells labels apart (xfrm_sec_ctx_match).
func contextOf(label string) string {
	if label == "" {
		return ""
	}
	return strings.TrimRight(label[sizeofSecCtx:], "\x00")
}
