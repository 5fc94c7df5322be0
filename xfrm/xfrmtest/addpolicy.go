package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// addPolicy is XFRM_MSG_NEWPOLICY and UPDPOLICY: xfrm_add_policy.
func (k *Kernel) addPolicy(r *request) *refusal {
	if no := checkPolicy(r.body); no != nil {
		return no
	}
	if no := r.attrs.secCtx(); no != nil {
		return no
	}
	p, no := k.constructPolicy(r)
	if no != nil {
		return no
	}
	if no := k.insertPolicy(p, r.typ == xfrm.MsgNewPolicy); no != nil {
		return no
	}
	k.notify(r, xfrm.GroupPolicy, r.typ, p.appendAttrs(p.appendInfo(nil), false))
	return nil
}

// checkPolicy is verify_newpolicy_info.
func checkPolicy(b []byte) *refusal {
	sel := rawSelector(b)
	index, dir, action, share := ne.Uint32(b[156:]), b[160], b[161], b[163]
	if share > 3 { // XFRM_SHARE_UNIQUE
		return invalid("Invalid policy share")
	}
	if action > byte(xfrm.Block) {
		return invalid("Invalid policy action")
	}
	switch f := sel.family(); f {
	case xfrm.FamilyIPv4, xfrm.FamilyIPv6:
		if no := checkPrefixes(f, &sel); no != nil {
			return no
		}
	default:
		return invalid("Invalid selector family")
	}
	if no := checkDir(dir); no != nil {
		return no
	}
	if index != 0 && index&7 != uint32(dir) {
		return invalid("Policy index doesn't match direction")
	}
	return nil
}

func checkDir(dir byte) *refusal {
	if dir > byte(xfrm.DirFwd) {
		return invalid("Invalid policy direction")
	}
	return nil
}

// policyType is copy_from_user_policy_type.
func (a *attrs) policyType() (xfrm.PolicyType, *refusal) {
	p := a[xfrm.AttrPolicyType]
	if p == nil {
		return xfrm.PolicyMain, nil
	}
	if p[0] > byte(xfrm.PolicySub) {
		return 0, invalid("Invalid policy type")
	}
	return xfrm.PolicyType(p[0]), nil
}

// constructPolicy is xfrm_policy_construct.
func (k *Kernel) constructPolicy(r *request) (*policy, *refusal) {
	b, a := r.body, &r.attrs
	p := &policy{priority: ne.Uint32(b[152:]), index: ne.Uint32(b[156:]), action: b[161], flags: b[162], limits: [64]byte(b[56:])}
	p.sel, p.dir = rawSelector(b), xfrm.Dir(b[160])
	var no *refusal
	if p.typ, no = a.policyType(); no != nil {
		return nil, no
	}
	if t := a[xfrm.AttrTmpl]; t != nil {
		p.tmpls = normalise(t)
		if no := checkTemplates(p.tmpls, p.sel.family(), p.dir); no != nil {
			return nil, no
		}
	}
	p.label = a.label()
	p.context = contextOf(p.label)
	p.mark = a.mark()
	p.mark.Value = p.mark.Key() // xfrm_policy_insert
	p.ifID = a.u32(xfrm.AttrIfID, 0)
	if t := a[xfrm.AttrOffloadDev]; t != nil {
		o := decodeOffload(t)
		switch {
		case o.Flags == 0 || o.Flags&^xfrm.OffloadPacket != 0:
			return nil, invalid("Unrecognized flags in offload request")
		case !k.devices[o.IfIndex]:
			return nil, invalid("")
		}
		p.offload = &o
	}
	return p, nil
}

// checkTemplates is validate_tmpl. A template without a family gets the policy's.
func checkTemplates(tmpls []byte, family xfrm.Family, dir xfrm.Dir) *refusal {
	if len(tmpls)/sizeofTmpl > maxDepth {
		return invalid("Template count must be <= XFRM_MAX_DEPTH (6)")
	}
	before := family
	for t := tmpls; len(t) != 0; t = t[sizeofTmpl:] {
		if ne.Uint16(t[24:]) == 0 {
			ne.PutUint16(t[24:], uint16(family))
		}
		f, mode, optional := xfrm.Family(ne.Uint16(t[24:])), xfrm.Mode(t[48]), t[50] != 0
		switch mode {
		case xfrm.ModeTunnel, xfrm.ModeBEET, xfrm.ModeIPTFS:
			if optional && dir == xfrm.DirOut {
				return invalid("Mode in optional template not allowed in outbound policy")
			}
		default:
			if f != before {
				return invalid("Mode in template doesn't support a family change")
			}
		}
		if mode > xfrm.ModeIPTFS {
			return invalid("Mode in template must be < XFRM_MODE_MAX (6)")
		}
		before = f
		if f != xfrm.FamilyIPv4 && f != xfrm.FamilyIPv6 {
			return invalid("Invalid family in template")
		}
		switch xfrm.Proto(t[20]) {
		case xfrm.ProtoAH, xfrm.ProtoESP, xfrm.ProtoComp, xfrm.ProtoRouting, xfrm.ProtoDstOpts:
		default:
			return invalid("Invalid XFRM protocol in template")
		}
	}
	return nil
}

// insertPolicy is xfrm_policy_insert. What it replaces leaves it the index, not its age.
func (k *Kernel) insertPolicy(p *policy, exclusive bool) *refusal {
	old := k.spd.byKey[p.policyKey]
	if old != nil && exclusive {
		return refuse(unix.EEXIST, "")
	}
	k.link(p)
	if old != nil {
		k.unlink(old)
		p.index = old.index
	} else {
		p.index = k.spd.newIndex(uint32(p.dir), p.index)
	}
	p.current = xfrm.Lifetime{AddTime: k.seconds()}
	k.register(p)
	return nil
}
