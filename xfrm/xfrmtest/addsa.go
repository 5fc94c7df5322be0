package xfrmtest

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// addSA is XFRM_MSG_NEWSA and UPDSA: xfrm_add_sa.
func (k *Kernel) addSA(r *request) *refusal {
	fixed, err := xfrm.DecodeSA(r.body[:sizeofUsersaInfo])
	if err != nil {
		return invalid("")
	}
	sel := rawSelector(r.body[:sizeofSelector])
	if no := checkSA(&fixed, &sel, &r.attrs); no != nil {
		return no
	}
	x, no := k.construct(&fixed, &sel, r)
	if no != nil {
		return no
	}
	if r.typ == xfrm.MsgNewSA {
		if !k.add(x) {
			return refuse(unix.EEXIST, "")
		}
	} else if no := k.update(x); no != nil {
		return no
	}
	// The notification tells of what was asked for: after UPDSA that is not what the table has.
	k.notify(r, xfrm.GroupSA, r.typ, x.encode())
	return nil
}

// construct is xfrm_state_construct.
func (k *Kernel) construct(fixed *xfrm.SA, sel *rawSelector, r *request) (*state, *refusal) {
	a := &r.attrs
	x := k.newState()
	x.sel = *sel
	x.seq = ne.Uint32(r.body[204:]) // after curlft and stats
	sa := &x.sa
	sa.ID, sa.Src, sa.Limits, sa.Reqid, sa.Mode, sa.Flags = fixed.ID, fixed.Src, fixed.Limits, fixed.Reqid, fixed.Mode, fixed.Flags
	sa.Window = min(fixed.Window, 32)
	if x.sel.family() == 0 && sa.Flags&stateAFUnspec == 0 {
		x.sel.setFamily(sa.ID.Family)
	}
	sa.Sel = x.sel.decode()
	if p := a[xfrm.AttrEncap]; p != nil {
		sa.Encap = decodeEncap(p)
	}
	x.coaddr = bytes.Clone(a[attrCoAddr])
	sa.ExtraFlags = a.u32(xfrm.AttrExtraFlags, 0)
	if no := x.alg.attach(a); no != nil {
		return nil, no
	}
	sa.HasAlgorithm = x.alg.any()
	sa.TFCPad = a.u32(xfrm.AttrTFCPad, 0)
	if sa.TFCPad > 0xffff { // IP_MAX_MTU
		return nil, invalid("Excessive TFC padding")
	}
	sa.Mark = a.mark()
	sa.OutputMark = a.outputMark()
	sa.IfID = a.u32(xfrm.AttrIfID, 0)
	if p := a[xfrm.AttrSADir]; p != nil {
		sa.Dir = xfrm.SADir(p[0])
	}
	sa.NATKeepalive = a.u32(xfrm.AttrNATKeepalive, 0)
	sa.CPU = a.u32(xfrm.AttrPCPU, xfrm.AnyCPU)
	if a[xfrm.AttrPCPU] != nil && sa.CPU >= k.cpus {
		return nil, refuse(unix.ERANGE, "pCPU number too big")
	}
	if no := x.initialise(a[xfrm.AttrEncap] != nil); no != nil {
		return nil, no
	}
	sa.Label = a.label()
	if p := a[xfrm.AttrReplayESN]; p != nil {
		x.window.decodeLong(&sa.Replay, p)
	}
	if no := x.checkWindow(); no != nil {
		return nil, no
	}
	x.applyCounters(a)
	if p := a[xfrm.AttrOffloadDev]; p != nil {
		if no := k.offload(x, decodeOffload(p)); no != nil {
			return nil, no
		}
	}
	return x, nil
}

func (k *Kernel) newState() *state {
	x := new(state)
	x.sa.Limits = xfrm.NoLimits
	x.sa.Current.AddTime = k.seconds()
	x.sa.CPU = xfrm.AnyCPU
	return x
}

// applyCounters is xfrm_update_ae_params as NEWSA uses it.
func (x *state) applyCounters(a *attrs) {
	sa := &x.sa
	if p := a[xfrm.AttrReplayVal]; p != nil && !x.window.long {
		sa.Replay.Sent, sa.Replay.Received = uint64(ne.Uint32(p)), uint64(ne.Uint32(p[4:]))
		x.window.bitmap = ne.Uint32(p[8:])
	}
	if p := a[xfrm.AttrLtimeVal]; p != nil {
		sa.Current = xfrm.Lifetime{Bytes: ne.Uint64(p), Packets: ne.Uint64(p[8:]), AddTime: ne.Uint64(p[16:]), UseTime: ne.Uint64(p[24:])}
	}
	sa.MTimer = a.u32(xfrm.AttrMTimer, 0)
}

// initialise is __xfrm_init_state: whether mode, families, transform and keys go together. hasEncap tells that there
// is a struct xfrm_encap_tmpl, which may be of type 0.
func (x *state) initialise(hasEncap bool) *refusal {
	sa := &x.sa
	tunnel := sa.Mode == xfrm.ModeTunnel || sa.Mode == xfrm.ModeBEET || sa.Mode == xfrm.ModeIPTFS
	inner := x.sel.family()
	if inner == 0 {
		inner = sa.ID.Family
	}
	if !modeExists(sa.Mode, inner) {
		return refuse(unix.EPROTONOSUPPORT, "Requested mode not found")
	}
	if !tunnel && inner != sa.ID.Family {
		return refuse(unix.EPROTONOSUPPORT, "Only tunnel modes can accommodate a change of family")
	}
	if no := x.initTransform(hasEncap); no != nil {
		return no
	}
	if !modeExists(sa.Mode, sa.ID.Family) {
		return refuse(unix.EPROTONOSUPPORT, "Requested mode not found")
	}
	if sa.NATKeepalive != 0 {
		if sa.Dir != xfrm.SADirOut {
			return invalid("NAT keepalive is only supported for outbound SAs")
		}
		if sa.Encap.Type != xfrm.EncapESPinUDP {
			return invalid("NAT keepalive is only supported for UDP encapsulation")
		}
	}
	return nil
}

func modeExists(m xfrm.Mode, f xfrm.Family) bool {
	switch m {
	case xfrm.ModeTransport, xfrm.ModeTunnel, xfrm.ModeBEET, xfrm.ModeIPTFS:
		return f == xfrm.FamilyIPv4 || f == xfrm.FamilyIPv6
	case xfrm.ModeRO:
		return f == xfrm.FamilyIPv6
	}
	return false
}

// initTransform is the init_state of esp4.c, esp6.c, ah4.c, ah6.c, ipcomp.c and ipcomp6.c.
func (x *state) initTransform(hasEncap bool) *refusal {
	switch x.sa.ID.Proto {
	case xfrm.ProtoAH:
		if x.alg.auth == nil {
			return invalid("AH requires a state with an AUTH algorithm")
		}
		if hasEncap {
			return invalid("AH is not compatible with encapsulation")
		}
		return x.alg.setKeys(x.sa.ID.Proto)
	case xfrm.ProtoComp:
		if x.alg.comp == nil {
			return invalid("Missing required compression algorithm")
		}
		if hasEncap {
			return invalid("IPComp is not compatible with encapsulation")
		}
		return nil
	case xfrm.ProtoESP:
		if no := x.alg.setKeys(x.sa.ID.Proto); no != nil {
			return no
		}
		if hasEncap && x.sa.Encap.Type != xfrm.EncapESPinUDP {
			return invalid("Unsupported encapsulation type for ESP")
		}
		return nil
	}
	return refuse(unix.EPROTONOSUPPORT, "Requested type not found")
}

// offload is xfrm_dev_state_add. A device that can't is no error, unless whole packets were to be offloaded.
func (k *Kernel) offload(x *state, o xfrm.Offload) *refusal {
	inbound, packet := o.Flags&xfrm.OffloadInbound != 0, o.Flags&xfrm.OffloadPacket != 0
	switch {
	case o.Flags&^(xfrm.OffloadIPv6|xfrm.OffloadInbound|xfrm.OffloadPacket) != 0:
		return invalid("Unrecognized flags in offload request")
	case inbound && x.sa.Dir == xfrm.SADirOut, !inbound && x.sa.Dir == xfrm.SADirIn:
		return invalid("Mismatched SA and offload direction")
	case inbound && x.sa.IfID != 0:
		return invalid("XFRM if_id is not supported in RX path")
	case x.sa.TFCPad != 0:
		return invalid("TFC padding can't be offloaded")
	case !k.devices[o.IfIndex] && packet:
		return invalid("")
	case !k.devices[o.IfIndex]:
		return nil
	}
	x.sa.Offload = xfrm.Offload{IfIndex: o.IfIndex, Flags: o.Flags &^ xfrm.OffloadIPv6}
	return nil
}
