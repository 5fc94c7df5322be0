package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// appendUsersaInfo appends struct xfrm_usersa_info.
func appendUsersaInfo(b []byte, sel *rawSelector, sa *xfrm.SA, seq uint32) []byte {
	b = append(b, sel[:]...)
	b = append(b, sa.ID.Dst[:]...)
	b = be.AppendUint32(b, uint32(sa.ID.SPI))
	b = append(b, byte(sa.ID.Proto), 0, 0, 0)
	b = append(b, sa.Src[:]...)
	b = appendLimits(b, &sa.Limits)
	b = appendLifetime(b, &sa.Current)
	b = ne.AppendUint32(b, sa.Stats.ReplayWindow)
	b = ne.AppendUint32(b, sa.Stats.Replay)
	b = ne.AppendUint32(b, sa.Stats.IntegrityFailed)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, sa.Reqid)
	b = ne.AppendUint16(b, uint16(sa.ID.Family))
	return append(b, byte(sa.Mode), sa.Window, sa.Flags, 0, 0, 0, 0, 0, 0, 0)
}

// encode gives the payload of NEWSA as it is dumped, keys included.
func (x *state) encode() []byte {
	return x.appendAttrs(appendUsersaInfo(make([]byte, 0, 512), &x.sel, &x.sa, x.seq))
}

// appendAttrs is the rest of copy_to_user_state_extra, in its order.
func (x *state) appendAttrs(b []byte) []byte {
	sa := &x.sa
	if sa.ExtraFlags != 0 {
		b = appendAttr32(b, xfrm.AttrExtraFlags, sa.ExtraFlags)
	}
	if x.coaddr != nil {
		b = appendAttr(b, attrCoAddr, x.coaddr)
	}
	if sa.LastUsed != 0 {
		b = appendAttr(b, xfrm.AttrLastUsed, ne.AppendUint64(nil, sa.LastUsed))
	}
	b = x.alg.append(b)
	if sa.Encap.Type != xfrm.EncapNone {
		b = appendAttr(b, xfrm.AttrEncap, encodeEncap(&sa.Encap))
	}
	if sa.TFCPad != 0 {
		b = appendAttr32(b, xfrm.AttrTFCPad, sa.TFCPad)
	}
	b = appendMark(b, sa.Mark)
	b = appendOutputMark(b, sa.OutputMark)
	typ, replay := x.window.encode(&sa.Replay)
	b = appendAttr(b, typ, replay)
	if sa.Offload.IfIndex != 0 {
		b = appendAttr(b, xfrm.AttrOffloadDev, encodeOffload(&sa.Offload))
	}
	return appendLast(b, sa)
}

func appendOutputMark(b []byte, m xfrm.Mark) []byte {
	if m == (xfrm.Mark{}) {
		return b
	}
	b = appendAttr32(b, xfrm.AttrSetMark, m.Value)
	return appendAttr32(b, xfrm.AttrSetMarkMask, m.Mask)
}

func encodeEncap(e *xfrm.Encap) []byte {
	b := ne.AppendUint16(nil, e.Type)
	b = be.AppendUint16(b, e.SPort)
	b = be.AppendUint16(b, e.DPort)
	b = append(b, 0, 0)
	return append(b, e.OA[:]...)
}

func decodeEncap(p []byte) xfrm.Encap {
	return xfrm.Encap{Type: ne.Uint16(p), SPort: be.Uint16(p[2:]), DPort: be.Uint16(p[4:]), OA: xfrm.Address(p[8:24])}
}

func encodeOffload(o *xfrm.Offload) []byte {
	return append(ne.AppendUint32(nil, uint32(o.IfIndex)), o.Flags, 0, 0, 0)
}

func decodeOffload(p []byte) xfrm.Offload {
	return xfrm.Offload{IfIndex: int32(ne.Uint32(p)), Flags: p[4]}
}

// appendLast appends the attributes that requests and answers close with alike.
func appendLast(b []byte, sa *xfrm.SA) []byte {
	b = appendIfID(b, sa.IfID)
	if sa.Label != "" {
		b = appendAttr(b, xfrm.AttrSecCtx, []byte(sa.Label))
	}
	if sa.MTimer != 0 {
		b = appendAttr32(b, xfrm.AttrMTimer, sa.MTimer)
	}
	if sa.CPU != xfrm.AnyCPU {
		b = appendAttr32(b, xfrm.AttrPCPU, sa.CPU)
	}
	if sa.Dir != xfrm.SADirUnset {
		b = appendAttr(b, xfrm.AttrSADir, []byte{byte(sa.Dir)})
	}
	if sa.NATKeepalive != 0 {
		b = appendAttr32(b, xfrm.AttrNATKeepalive, sa.NATKeepalive)
	}
	return b
}
