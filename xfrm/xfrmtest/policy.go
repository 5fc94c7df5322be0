package xfrmtest

import (
	"bytes"
	"container/list"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// policy is struct xfrm_policy.
type policy struct {
	policyKey
	label    string
	priority uint32
	index    uint32
	action   uint8
	flags    uint8
	limits   [64]byte // struct xfrm_lifetime_cfg
	current  xfrm.Lifetime
	tmpls    []byte // struct xfrm_user_tmpl, as the kernel gives them back
	offload  *xfrm.Offload
	socket   bool // belongs to a socket: dumped, but in no index
	seen     xfrm.Policy
	place    *list.Element
}

// policyKey is what no two policies have in common.
type policyKey struct {
	sel     rawSelector
	mark    xfrm.Mark
	ifID    uint32
	dir     xfrm.Dir
	typ     xfrm.PolicyType
	context string // of the label: see contextOf
}

// spd is the table of policies. The order of all is also that of age, which decides among equal priorities.
type spd struct {
	all     *list.List // of *policy, newest first, and of place
	byKey   map[policyKey]*policy
	byIndex map[uint32]*policy
	count   [6]uint32 // by the low bits of the index: in, out, fwd, and the same of sockets
	next    uint32    // idx_generator
}

func (t *spd) init() {
	t.all = list.New()
	t.byKey = map[policyKey]*policy{}
	t.byIndex = map[uint32]*policy{}
}

// each calls f for every policy, the newest first, until it returns false. f may delete the policy that it is given.
func (t *spd) each(f func(*policy) bool) {
	for e := t.all.Front(); e != nil; {
		next := e.Next()
		if p, ok := e.Value.(*policy); ok && !f(p) {
			return
		}
		e = next
	}
}

// newIndex is xfrm_gen_index: the one asked for if it is free, else the next of the generator, which all directions
// share.
func (t *spd) newIndex(low, asked uint32) uint32 {
	for {
		i := asked
		if i == 0 {
			i = t.next | low
			t.next += 8
		}
		asked = 0
		if i == 0 {
			i = 8
		}
		if t.byIndex[i] == nil {
			return i
		}
	}
}

// link puts p in front of the table; its index is given by the caller afterwards.
func (k *Kernel) link(p *policy) {
	p.place = k.spd.all.PushFront(p)
	k.changed()
}

// register enters a policy with its index into the maps.
func (k *Kernel) register(p *policy) {
	t := &k.spd
	t.count[p.index&7]++
	if !p.socket {
		t.byKey[p.policyKey] = p
		t.byIndex[p.index] = p
	}
	p.seen, _ = xfrm.DecodePolicy(p.encode())
	k.logPolicy(p, false)
}

func (k *Kernel) unlink(p *policy) {
	t := &k.spd
	k.logPolicy(p, true)
	t.all.Remove(p.place)
	p.place = nil
	t.count[p.index&7]--
	if !p.socket {
		if t.byKey[p.policyKey] == p {
			delete(t.byKey, p.policyKey)
		}
		delete(t.byIndex, p.index)
	}
	k.changed()
}

// appendInfo is copy_to_user_policy: struct xfrm_userpolicy_info.
func (p *policy) appendInfo(b []byte) []byte {
	b = append(b, p.sel[:]...)
	b = append(b, p.limits[:]...)
	b = appendLifetime(b, &p.current)
	b = ne.AppendUint32(b, p.priority)
	b = ne.AppendUint32(b, p.index)
	return append(b, byte(p.index&7), p.action, p.flags, 0 /* XFRM_SHARE_ANY, whatever was asked for */, 0, 0, 0, 0)
}

// appendAttrs appends the attributes as a dump has them. Notifications leave the label out.
func (p *policy) appendAttrs(b []byte, label bool) []byte {
	if len(p.tmpls) != 0 {
		b = appendAttr(b, xfrm.AttrTmpl, p.tmpls)
	}
	if label && p.label != "" {
		b = appendAttr(b, xfrm.AttrSecCtx, []byte(p.label))
	}
	b = appendAttr(b, xfrm.AttrPolicyType, []byte{byte(p.typ), 0, 0, 0, 0, 0})
	b = appendMark(b, p.mark)
	b = appendIfID(b, p.ifID)
	if p.offload != nil {
		b = appendAttr(b, xfrm.AttrOffloadDev, encodeOffload(p.offload))
	}
	return b
}

// encode gives the payload of NEWPOLICY as it is dumped.
func (p *policy) encode() []byte {
	return p.appendAttrs(p.appendInfo(make([]byte, 0, 320)), true)
}

// normalise returns the templates as the kernel gives them back: cleared where its own struct has no room for them. The
// padding of struct xfrm_id is copied along.
func normalise(tmpls []byte) []byte {
	out := bytes.Clone(tmpls[:len(tmpls)/sizeofTmpl*sizeofTmpl])
	for t := out; len(t) != 0; t = t[sizeofTmpl:] {
		clear(t[26:28])
		t[51] = 0
	}
	return out
}
