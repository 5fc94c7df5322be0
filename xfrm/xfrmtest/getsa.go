package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// userLookup is xfrm_user_state_lookup: by SPI, or by source address for protocols that have none.
func (k *Kernel) userLookup(r *request) (*state, *refusal) {
	id := decodeID(r.body)
	mark := r.attrs.mark().Key()
	var x *state
	if hasSPI(id.Proto) {
		x = k.sad.lookup(mark, &id)
	} else {
		src := r.attrs[attrSrcAddr]
		if src == nil {
			return nil, invalid("")
		}
		x = k.sad.lookupByAddr(mark, &id, xfrm.Address(src))
	}
	if x == nil {
		return nil, refuse(unix.ESRCH, "")
	}
	return x, nil
}

// getSA is XFRM_MSG_GETSA for one SA.
func (k *Kernel) getSA(r *request) *refusal {
	x, no := k.userLookup(r)
	if no != nil {
		return no
	}
	r.reply(xfrm.MsgNewSA, x.encode())
	return nil
}

// deleteSA is XFRM_MSG_DELSA.
func (k *Kernel) deleteSA(r *request) *refusal {
	x, no := k.userLookup(r)
	if no != nil {
		return no
	}
	k.remove(x)
	b := appendID(nil, &x.sa.ID)
	b = appendAttr(b, attrSA, appendUsersaInfo(nil, &x.sel, &x.sa, x.seq))
	k.notify(r, xfrm.GroupSA, xfrm.MsgDelSA, x.appendAttrs(b))
	return nil
}

// flushSA is XFRM_MSG_FLUSHSA. Nobody is told when there was nothing to delete, and of single SAs never.
func (k *Kernel) flushSA(r *request) *refusal {
	proto := xfrm.Proto(r.body[0])
	if k.flushSAs(proto) != 0 {
		k.notify(r, xfrm.GroupSA, xfrm.MsgFlushSA, []byte{byte(proto)})
	}
	return nil
}

func (k *Kernel) flushSAs(proto xfrm.Proto) (n int) {
	k.sad.each(func(x *state) bool {
		if protoMatch(x.sa.ID.Proto, proto) {
			k.remove(x)
			n++
		}
		return true
	})
	return n
}

// getAE is XFRM_MSG_GETAE: build_aevent. The optional thresholds are left out; nothing asks for them.
func (k *Kernel) getAE(r *request) *refusal {
	id := decodeID(r.body)
	x := k.sad.lookup(r.attrs.mark().Key(), &id)
	if x == nil {
		return refuse(unix.ESRCH, "")
	}
	b := appendID(nil, &x.sa.ID)
	b = append(b, x.sa.Src[:]...)
	b = append(b, r.body[40:44]...) // flags, as they were asked for
	b = ne.AppendUint32(b, x.sa.Reqid)
	typ, replay := x.window.encode(&x.sa.Replay)
	b = appendAttr(b, typ, replay)
	b = appendAttr(b, xfrm.AttrLtimeVal, appendLifetime(nil, &x.sa.Current))
	b = appendMark(b, x.sa.Mark)
	b = appendIfID(b, x.sa.IfID)
	if x.sa.CPU != xfrm.AnyCPU {
		b = appendAttr32(b, xfrm.AttrPCPU, x.sa.CPU)
	}
	if x.sa.Dir != xfrm.SADirUnset {
		b = appendAttr(b, xfrm.AttrSADir, []byte{byte(x.sa.Dir)})
	}
	r.reply(xfrm.MsgNewAE, b)
	return nil
}

// getSADInfo is XFRM_MSG_GETSADINFO. The sizes of the hash table are those of a fresh one.
func (k *Kernel) getSADInfo(r *request) *refusal {
	const sadCount, sadHash = 1, 2 // XFRMA_SAD_*
	b := append([]byte(nil), r.body[:4]...)
	b = appendAttr32(b, sadCount, uint32(k.sad.len()))
	b = appendAttr(b, sadHash, ne.AppendUint32(ne.AppendUint32(nil, 8), 1<<20))
	r.reply(msgNewSADInfo, b)
	return nil
}
