package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// getPolicy is XFRM_MSG_GETPOLICY for one policy, and XFRM_MSG_DELPOLICY: by index if there is one, else by selector.
func (k *Kernel) getPolicy(r *request) *refusal {
	typ, no := r.attrs.policyType()
	if no != nil {
		return no
	}
	index, dir := ne.Uint32(r.body[56:]), r.body[60]
	if no := checkDir(dir); no != nil {
		return no
	}
	mark, ifID := r.attrs.mark(), r.attrs.u32(xfrm.AttrIfID, 0)
	var p *policy
	if index != 0 {
		p = k.spd.byIndex[index]
		if p != nil && (p.dir != xfrm.Dir(dir) || p.typ != typ || p.ifID != ifID || p.mark != mark) {
			p = nil
		}
	} else {
		if no := r.attrs.secCtx(); no != nil {
			return no
		}
		p = k.spd.byKey[policyKey{rawSelector(r.body), mark, ifID, xfrm.Dir(dir), typ, contextOf(r.attrs.label())}]
	}
	if p == nil {
		return refuse(unix.ENOENT, "")
	}
	if r.typ == xfrm.MsgGetPolicy {
		r.reply(xfrm.MsgNewPolicy, p.encode())
		return nil
	}
	k.unlink(p)
	k.notify(r, xfrm.GroupPolicy, xfrm.MsgDelPolicy, p.deleted(index != 0))
	return nil
}

// deleted is the notification of a deletion: what it was deleted by, and the policy as an attribute.
func (p *policy) deleted(byIndex bool) []byte {
	b := make([]byte, sizeofPolicyID)
	b[60] = byte(p.dir)
	if byIndex {
		ne.PutUint32(b[56:], p.index)
	} else {
		copy(b, p.sel[:])
	}
	return p.appendAttrs(appendAttr(b, attrPolicy, p.appendInfo(nil)), false)
}

// flushPolicy is XFRM_MSG_FLUSHPOLICY: the main SPD or the sub-policies, never those of sockets.
func (k *Kernel) flushPolicy(r *request) *refusal {
	typ, no := r.attrs.policyType()
	if no != nil {
		return no
	}
	if k.flushPolicies(typ) != 0 {
		k.notify(r, xfrm.GroupPolicy, xfrm.MsgFlushPolicy, appendAttr(nil, xfrm.AttrPolicyType, []byte{byte(typ), 0, 0, 0, 0, 0}))
	}
	return nil
}

func (k *Kernel) flushPolicies(typ xfrm.PolicyType) (n int) {
	k.spd.each(func(p *policy) bool {
		if !p.socket && p.typ == typ {
			k.unlink(p)
			n++
		}
		return true
	})
	return n
}
