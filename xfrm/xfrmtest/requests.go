package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// DeleteSA is XFRM_MSG_DELSA.
func DeleteSA(id xfrm.SAID, mark xfrm.Mark) xfrm.Request {
	return xfrm.Request{Type: xfrm.MsgDelSA, Payload: appendMark(appendID(nil, &id), mark)}
}

// GetSA is XFRM_MSG_GETSA for one SA. The answer has its keys.
func GetSA(id xfrm.SAID, mark xfrm.Mark) xfrm.Request {
	return xfrm.Request{Type: xfrm.MsgGetSA, Payload: appendMark(appendID(nil, &id), mark)}
}

// FlushSAs is XFRM_MSG_FLUSHSA: 0 for all protocols, xfrm.ProtoAny for those with SPIs.
func FlushSAs(p xfrm.Proto) xfrm.Request {
	return xfrm.Request{Type: xfrm.MsgFlushSA, Payload: []byte{byte(p), 0, 0, 0}}
}

// FlushPolicies is XFRM_MSG_FLUSHPOLICY for the main SPD.
func FlushPolicies() xfrm.Request { return xfrm.Request{Type: xfrm.MsgFlushPolicy} }

// AllocSPI is XFRM_MSG_ALLOCSPI: a larval SA with an SPI between low and high.
func AllocSPI(sa xfrm.SA, low, high uint32) xfrm.Request {
	sel := rawSelectorOf(&sa.Sel)
	b := appendUsersaInfo(nil, &sel, &sa, 0)
	b = ne.AppendUint32(ne.AppendUint32(b, low), high)
	b = appendIfID(appendMark(b, sa.Mark), sa.IfID)
	if sa.Dir != xfrm.SADirUnset {
		b = appendAttr(b, xfrm.AttrSADir, []byte{byte(sa.Dir)})
	}
	return xfrm.Request{Type: xfrm.MsgAllocSPI, Payload: b}
}

// DeletePolicyBySelector is XFRM_MSG_DELPOLICY by all that makes a policy's Key.
func DeletePolicyBySelector(p *xfrm.Policy) xfrm.Request { return bySelector(xfrm.MsgDelPolicy, p) }

// GetPolicyBySelector is XFRM_MSG_GETPOLICY by all that makes a policy's Key.
func GetPolicyBySelector(p *xfrm.Policy) xfrm.Request { return bySelector(xfrm.MsgGetPolicy, p) }

func bySelector(typ uint16, p *xfrm.Policy) xfrm.Request {
	sel := rawSelectorOf(&p.Sel)
	b := append(append([]byte(nil), sel[:]...), 0, 0, 0, 0, byte(p.Dir), 0, 0, 0)
	if p.Label != "" {
		b = appendAttr(b, xfrm.AttrSecCtx, []byte(p.Label))
	}
	b = appendAttr(b, xfrm.AttrPolicyType, []byte{byte(p.Type), 0, 0, 0, 0, 0})
	b = appendIfID(appendMark(b, p.Mark), p.IfID)
	return xfrm.Request{Type: typ, Payload: b}
}
