package plan

import (
	"sync"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// saIndex finds the SAs that a template asks for without looking at each. Templates are as a rule exact: addresses and
// reqid set.
type saIndex struct {
	sas     []xfrm.SA
	exact   *chains[exactKey]
	byReqid func() *chains[reqidKey] // made when a template with a wildcard address comes along
	bySrc   func() *chains[srcKey]   // made when an inbound template finds no SA under its own destination
}

type exactKey struct {
	dst, src xfrm.Address
	family   xfrm.Family
	reqid    uint32
}

type srcKey struct {
	src    xfrm.Address
	family xfrm.Family
}

type reqidKey uint32

func (k exactKey) hash() mixed {
	return unmixed.address(&k.dst).address(&k.src).word(uint64(k.reqid)<<32 | uint64(k.family))
}

func (k srcKey) hash() mixed { return unmixed.address(&k.src).word(uint64(k.family)) }

func (k reqidKey) hash() mixed { return unmixed.word(uint64(k)) }

func newSAIndex(sas []xfrm.SA) *saIndex {
	return &saIndex{
		sas: sas,
		exact: chainSAs(sas, func(sa *xfrm.SA) exactKey {
			return exactKey{sa.ID.Dst, sa.Src, sa.ID.Family, sa.Reqid}
		}),
		byReqid: sync.OnceValue(func() *chains[reqidKey] {
			return chainSAs(sas, func(sa *xfrm.SA) reqidKey { return reqidKey(sa.Reqid) })
		}),
		bySrc: sync.OnceValue(func() *chains[srcKey] {
			return chainSAs(sas, func(sa *xfrm.SA) srcKey { return srcKey{sa.Src, sa.ID.Family} })
		}),
	}
}

// chainSAs makes a table of the SAs that carry traffic.
func chainSAs[K hashed](sas []xfrm.SA, key func(*xfrm.SA) K) *chains[K] {
	c := newChains(len(sas), func(i int32) K { return key(&sas[i]) })
	for i := len(sas) - 1; i >= 0; i-- { // backwards, so that they are found in their order
		if !sas[i].Larval() {
			c.add(int32(i))
		}
	}
	return c
}

// find calls f for each SA that satisfies template t of policy p. via is the tunnel in front of a transport-mode
// template, whose addresses it takes over; it is nil if there is none.
func (x *saIndex) find(p *xfrm.Policy, t, via *xfrm.Template, f func(i int32)) {
	at, found := outerOf(p, t, via), false
	try := func(i int32) {
		if satisfies(&x.sas[i], p, t, via) {
			found = true
			f(i)
		}
	}
	inbound := p.Dir != xfrm.DirOut
	switch {
	case inbound && at.src.IsAny(), !inbound && (at.dst.IsAny() || at.src.IsAny()):
		x.wildcard(p, t, try)
		return
	case inbound && t.Reqid == 0:
		x.source(at, func(i int32) bool { return x.sas[i].ID.Dst == at.dst }, try)
	default:
		x.exact.each(exactKey{at.dst, at.src, at.family, t.Reqid}, try)
	}
	switch {
	case found:
	case inbound:
		// The kernel doesn't compare a template's destination on the way in: one that is out of date does as well.
		x.source(at, func(i int32) bool { return t.Reqid == 0 || t.Reqid == x.sas[i].Reqid }, try)
	default: // an SA without a source takes any
		x.exact.each(exactKey{dst: at.dst, family: at.family, reqid: t.Reqid}, try)
	}
}

// ends are two outer addresses of one family.
type ends struct {
	src, dst xfrm.Address
	family   xfrm.Family
}

// outerOf gives the addresses that the SA of a template has: a transport-mode one takes over those of the tunnel in
// front of it or, if there is none, of the packet. Those are known if the policy is for two hosts.
func outerOf(p *xfrm.Policy, t, via *xfrm.Template) ends {
	switch {
	case t.Mode != xfrm.ModeTransport:
		return ends{t.Src, t.Dst, t.Family}
	case via != nil:
		return ends{via.Src, via.Dst, via.Family}
	case int(p.Sel.SrcLen) == p.Sel.Family.Bits() && int(p.Sel.DstLen) == p.Sel.Family.Bits():
		return ends{p.Sel.Src, p.Sel.Dst, p.Sel.Family}
	}
	return ends{}
}

// wildcard goes through the SAs of the template's reqid, or inbound, where a template without reqid takes any, through
// all of them. Such policies are hand-made, and few as a rule.
func (x *saIndex) wildcard(p *xfrm.Policy, t *xfrm.Template, try func(i int32)) {
	if t.Reqid == 0 && p.Dir != xfrm.DirOut {
		for i := range x.sas {
			if !x.sas[i].Larval() {
				try(int32(i))
			}
		}
		return
	}
	x.byReqid().each(reqidKey(t.Reqid), try)
}

// source tries the SAs from at's source that are as wanted.
func (x *saIndex) source(at ends, wanted func(i int32) bool, try func(i int32)) {
	x.bySrc().each(srcKey{at.src, at.family}, func(i int32) {
		if wanted(i) {
			try(i)
		}
	})
}

// satisfies reports whether the kernel would take sa for template t of policy p. It follows xfrm_state_find for
// outbound policies and xfrm_state_ok for the others but for the SPI: strongSwan puts the newest SPI into the outbound
// template, and the SA that it replaces belongs to the Child SA all the same.
func satisfies(sa *xfrm.SA, p *xfrm.Policy, t, via *xfrm.Template) bool {
	out := p.Dir == xfrm.DirOut
	switch {
	case t.Proto != sa.ID.Proto && t.Proto != xfrm.ProtoAny,
		t.Mode != sa.Mode,
		t.Reqid != sa.Reqid && (out || t.Reqid != 0),
		t.Reqid == 0 && t.SPI != 0 && t.SPI != sa.ID.SPI,
		sa.Dir == xfrm.SADirIn && out, sa.Dir == xfrm.SADirOut && !out,
		p.IfID != sa.IfID && (out || p.IfID != 0):
		return false
	case !marksMeet(p, sa.Mark):
		return false
	}
	if t.Mode != xfrm.ModeTransport {
		return between(sa, t, out)
	}
	if via != nil {
		return between(sa, via, out)
	}
	return admits(&p.Sel, sa.Src, sa.ID.Dst, sa.ID.Family) // its addresses are the packet's
}

// marksMeet reports whether packets of the policy can use an SA with the mark: outbound the kernel looks for it with the
// policy's mark, inbound with the packet's.
func marksMeet(p *xfrm.Policy, m xfrm.Mark) bool {
	if p.Dir == xfrm.DirOut {
		return p.Mark.Key()&m.Mask == m.Key()
	}
	return (p.Mark.Value^m.Value)&p.Mark.Mask&m.Mask == 0 // else no packet has both marks
}

// between compares the SA's addresses with a template's. Inbound the kernel looks at the source only; where that is a
// wildcard, only the destination tells an inbound SA from the outbound one of its reqid.
func between(sa *xfrm.SA, t *xfrm.Template, out bool) bool {
	if out && t.Family != sa.ID.Family {
		return false
	}
	if !t.Src.IsAny() && !sa.Src.IsAny() && (t.Src != sa.Src || t.Family != sa.ID.Family) {
		return false
	}
	return t.Dst.IsAny() || t.Dst == sa.ID.Dst || !out && !t.Src.IsAny()
}

// admits reports whether the selector takes packets from src to dst. A selector without a family takes any.
func admits(sel *xfrm.Selector, src, dst xfrm.Address, f xfrm.Family) bool {
	if sel.Family == xfrm.FamilyUnspec {
		return true
	}
	return sel.Family == f &&
		prefixMask(int(sel.SrcLen)).of(src) == prefixMask(int(sel.SrcLen)).of(sel.Src) &&
		prefixMask(int(sel.DstLen)).of(dst) == prefixMask(int(sel.DstLen)).of(sel.Dst)
}
