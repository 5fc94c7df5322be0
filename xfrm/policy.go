package xfrm

import (
	"bytes"
	"slices"
)

// Policy is struct xfrm_userpolicy_info and its attributes. What this package doesn't know of it is kept and sent back
// as it was.
type Policy struct {
	Sel       Selector
	Limits    LifetimeLimits
	Current   Lifetime // ignored by the kernel in requests
	Priority  uint32   // the lower number wins
	Index     uint32   // its low three bits are the direction; NEWPOLICY with 0 lets the kernel choose
	Dir       Dir
	Action    Action
	Flags     uint8 // XFRM_POLICY_*
	Share     uint8
	Templates []Template

	Mark  Mark
	IfID  uint32
	Type  PolicyType
	Label string // struct xfrm_user_sec_ctx as it is, empty if none

	hasType bool   // XFRMA_POLICY_TYPE was there: kernels without sub-policies don't send it
	unknown []byte // attributes that this package doesn't know (offload among them), padded
}

// PolicyType tells the main SPD from the sub-policies of Mobile IPv6.
type PolicyType uint8

// The policy types of <linux/xfrm.h>.
const (
	PolicyMain PolicyType = 0
	PolicySub  PolicyType = 1
)

// IsSocket reports whether the policy belongs to a socket, such as an IKE daemon's bypass.
func (p *Policy) IsSocket() bool { return p.Index&7 > uint32(DirFwd) }

// DecodePolicy decodes the payload of a XFRM_MSG_NEWPOLICY message: struct xfrm_userpolicy_info and attributes.
// Nothing in the policy aliases b.
func DecodePolicy(b []byte) (p Policy, err error) {
	err = p.decode(b)
	return p, err
}

func (p *Policy) decode(b []byte) error { return p.decodeWith(new(templateSlab), b) }

// decodeWith takes the room for the templates from a slab that many policies share.
func (p *Policy) decodeWith(templates *templateSlab, b []byte) error {
	if len(b) < sizeofPolicyInfo {
		return shortOf("xfrm_userpolicy_info", len(b), sizeofPolicyInfo)
	}
	p.decodeInfo(b)
	return eachAttr(b[sizeofPolicyInfo:], func(typ uint16, a []byte) error {
		if typ == AttrTmpl && len(a) == sizeofTmpl { // as nearly all have
			p.Templates = templates.one()
			p.Templates[0].decode(a)
			return nil
		}
		return p.decodeAttr(typ, a)
	})
}

func (p *Policy) decodeInfo(b []byte) {
	p.Sel.decode(b)
	p.Limits.decode(b[56:])
	p.Current.decode(b[120:])
	p.Priority, p.Index = ne.Uint32(b[152:]), ne.Uint32(b[156:])
	p.Dir, p.Action, p.Flags, p.Share = Dir(b[160]), Action(b[161]), b[162], b[163]
}

func (p *Policy) decodeAttr(typ uint16, b []byte) (err error) {
	switch typ {
	case AttrTmpl:
		if len(b)%sizeofTmpl != 0 {
			return shortOf("last xfrm_user_tmpl", len(b)%sizeofTmpl, sizeofTmpl)
		}
		p.Templates = nil
		if len(b) != 0 {
			p.Templates = make([]Template, len(b)/sizeofTmpl)
		}
		for i := range p.Templates {
			p.Templates[i].decode(b[i*sizeofTmpl:])
		}
	case AttrMark:
		p.Mark, err = attrMark(b)
	case AttrIfID:
		p.IfID, err = attr32("if_id", b)
	case AttrPolicyType:
		if len(b) < 1 {
			return shortOf("xfrm_userpolicy_type", len(b), sizeofPolicyType)
		}
		p.Type, p.hasType = PolicyType(b[0]), true
	case AttrSecCtx:
		p.Label = string(b)
	default:
		p.unknown = appendAttr(p.unknown, typ, b)
	}
	return err
}

// AppendTo appends the payload of NEWPOLICY: struct xfrm_userpolicy_info and the attributes, in the order in which the kernel dumps them.
func (p *Policy) AppendTo(b []byte) []byte {
	b = p.Sel.appendTo(b)
	b = p.Limits.appendTo(b)
	b = p.Current.appendTo(b)
	b = ne.AppendUint32(b, p.Priority)
	b = ne.AppendUint32(b, p.Index)
	b = append(b, byte(p.Dir), byte(p.Action), p.Flags, p.Share, 0, 0, 0, 0)
	if len(p.Templates) != 0 {
		b = ne.AppendUint16(b, uint16(4+len(p.Templates)*sizeofTmpl))
		b = ne.AppendUint16(b, AttrTmpl)
		for i := range p.Templates {
			b = p.Templates[i].appendTo(b)
		}
	}
	if p.Label != "" {
		b = appendAttr(b, AttrSecCtx, []byte(p.Label))
	}
	if p.hasType || p.Type != PolicyMain {
		b = appendAttr(b, AttrPolicyType, []byte{byte(p.Type), 0, 0, 0, 0, 0})
	}
	if p.Mark != (Mark{}) {
		b = appendMark(b, p.Mark)
	}
	if p.IfID != 0 {
		b = appendAttr32(b, AttrIfID, p.IfID)
	}
	return append(b, p.unknown...)
}

// payload is AppendTo for a request that stores p, with room for everything at once: 48 bytes for the attributes of fixed
// size and the headers of the others.
func (p *Policy) payload() []byte {
	if p.Label != "" {
		stored := *p
		stored.Label = toStore(p.Label)
		p = &stored
	}
	return p.AppendTo(make([]byte, 0, sizeofPolicyInfo+len(p.Templates)*sizeofTmpl+len(p.Label)+len(p.unknown)+48))
}

// Key is what makes two policies of one direction exclude each other, whatever their priority: the kernel answers
// NEWPOLICY with -EEXIST if a policy of the same Key is there.
type Key struct {
	Sel   Selector
	Mark  Mark
	IfID  uint32
	Dir   Dir
	Type  PolicyType
	Label string
}

// Key returns the policy's Key.
func (p *Policy) Key() Key { return Key{p.Sel, p.Mark, p.IfID, p.Dir, p.Type, p.Label} }

// SameKey reports whether two policies have the same Key.
func (p *Policy) SameKey(q *Policy) bool {
	return p.Sel == q.Sel && p.Mark == q.Mark && p.IfID == q.IfID && p.Dir == q.Dir && p.Type == q.Type && p.Label == q.Label
}

// NewPolicy is XFRM_MSG_NEWPOLICY: adds p, or fails with EEXIST. If p.Index is free and of p's direction the policy
// gets it, otherwise the kernel chooses one.
func NewPolicy(p *Policy) Request { return Request{Type: MsgNewPolicy, Payload: p.payload()} }

// UpdatePolicy is XFRM_MSG_UPDPOLICY: adds p or replaces the policy of the same Key, which keeps its index. Replacing
// costs the kernel a walk over the policies whose prefixes are shorter than the hash thresholds.
func UpdatePolicy(p *Policy) Request { return Request{Type: MsgUpdPolicy, Payload: p.payload()} }

// DeletePolicy is XFRM_MSG_DELPOLICY by index, whose cost does not depend on the size of the SPD. It takes p's index,
// direction, type, mark and if_id; the selector is not looked at.
func DeletePolicy(p *Policy) Request {
	var none Selector
	b := none.appendTo(make([]byte, 0, 128))
	return Request{Type: MsgDelPolicy, Payload: p.appendIDTo(b)}
}

// GetPolicy is XFRM_MSG_GETPOLICY by index.
func GetPolicy(p *Policy) Request {
	r := DeletePolicy(p)
	r.Type = MsgGetPolicy
	return r
}

// appendIDTo completes struct xfrm_userpolicy_id after its selector, and the attributes that go with it.
func (p *Policy) appendIDTo(b []byte) []byte {
	b = ne.AppendUint32(b, p.Index)
	b = append(b, byte(p.Dir), 0, 0, 0)
	if p.hasType || p.Type != PolicyMain {
		b = appendAttr(b, AttrPolicyType, []byte{byte(p.Type), 0, 0, 0, 0, 0})
	}
	if p.Mark != (Mark{}) {
		b = appendMark(b, p.Mark)
	}
	if p.IfID != 0 {
		b = appendAttr32(b, AttrIfID, p.IfID)
	}
	return b
}

// WithoutUnknown returns the policy without the attributes that this package doesn't know, for a policy that is made
// after another: an offload belongs to one policy only.
func (p Policy) WithoutUnknown() Policy {
	p.unknown = nil
	return p
}

// Same reports whether two policies mean the same: all but index, age and what has been used of them.
func (p *Policy) Same(q *Policy) bool {
	return p.SameKey(q) && p.Priority == q.Priority && p.Action == q.Action && p.Flags == q.Flags &&
		p.Share == q.Share && p.Limits == q.Limits && slices.Equal(p.Templates, q.Templates) &&
		bytes.Equal(p.unknown, q.unknown)
}
