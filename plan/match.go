package plan

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// saIndex finds the SAs that a template asks for without looking at each. Templates are as a rule exact: addresses and
// reqid set.
type saIndex struct {
	sas     []xfrm.SA
	exact   map[exactKey][]int32
	byReqid map[uint32][]int32 // built when a template with wildcard addresses comes along
	all     []int32            // built when a template with neither addresses nor reqid comes along
}

type exactKey struct {
	dst, src xfrm.Address
	family   xfrm.Family
	reqid    uint32 // 0 for templates without: every SA is listed under its reqid and under 0
}

func newSAIndex(sas []xfrm.SA) *saIndex {
	x := &saIndex{sas: sas, exact: make(map[exactKey][]int32, len(sas))}
	for i := range sas {
		sa := &sas[i]
		if sa.Larval() {
			continue
		}
		k := exactKey{sa.ID.Dst, sa.Src, sa.ID.Family, sa.Reqid}
		x.exact[k] = append(x.exact[k], int32(i))
	}
	return x
}

// find calls f for each SA that satisfies template t of policy p.
func (x *saIndex) find(p *xfrm.Policy, t *xfrm.Template, f func(i int32)) {
	for _, i := range x.candidates(t) {
		if satisfies(&x.sas[i], p, t) {
			f(i)
		}
	}
}

func (x *saIndex) candidates(t *xfrm.Template) []int32 {
	switch {
	case t.Reqid != 0 && !t.Dst.IsAny() && !t.Src.IsAny():
		return x.exact[exactKey{t.Dst, t.Src, t.Family, t.Reqid}]
	case t.Reqid != 0:
		if x.byReqid == nil {
			x.byReqid = make(map[uint32][]int32)
			for i := range x.sas {
				if !x.sas[i].Larval() {
					x.byReqid[x.sas[i].Reqid] = append(x.byReqid[x.sas[i].Reqid], int32(i))
				}
			}
		}
		return x.byReqid[t.Reqid]
	}
	return x.withoutReqid(t)
}

// withoutReqid is for hand-made policies: few, as a rule.
func (x *saIndex) withoutReqid(t *xfrm.Template) []int32 {
	if x.all == nil {
		x.all = make([]int32, 0, len(x.sas))
		for i := range x.sas {
			if sa := &x.sas[i]; !sa.Larval() {
				x.all = append(x.all, int32(i))
				if sa.Reqid != 0 {
					k := exactKey{dst: sa.ID.Dst, src: sa.Src, family: sa.ID.Family}
					x.exact[k] = append(x.exact[k], int32(i))
				}
			}
		}
	}
	if !t.Dst.IsAny() && !t.Src.IsAny() {
		return x.exact[exactKey{dst: t.Dst, src: t.Src, family: t.Family}]
	}
	return x.all
}

// satisfies reports whether the kernel would take sa for template t of policy p. It follows xfrm_state_find for
// outbound policies and xfrm_state_ok for the others but for the SPI: strongSwan puts the newest SPI into the outbound
// template, and the SA that it replaces belongs to the Child SA all the same.
func satisfies(sa *xfrm.SA, p *xfrm.Policy, t *xfrm.Template) bool {
	switch {
	case t.Proto != sa.ID.Proto && t.Proto != xfrm.ProtoAny,
		t.Mode != sa.Mode,
		t.Reqid != 0 && t.Reqid != sa.Reqid,
		t.Reqid == 0 && t.SPI != 0 && t.SPI != sa.ID.SPI,
		!t.Dst.IsAny() && (t.Dst != sa.ID.Dst || t.Family != sa.ID.Family),
		!t.Src.IsAny() && (t.Src != sa.Src || t.Family != sa.ID.Family):
		return false
	}
	out := p.Dir == xfrm.DirOut
	switch {
	case sa.Dir == xfrm.SADirIn && out, sa.Dir == xfrm.SADirOut && !out:
		return false
	case p.IfID != sa.IfID && (out || p.IfID != 0):
		return false
	case p.Mark.Key()&sa.Mark.Mask != sa.Mark.Value && (out || p.Mark != xfrm.Mark{}):
		return false
	}
	// A wildcard template of a transport-mode SA takes the addresses of the packet, which the policy's selector bounds.
	if t.Dst.IsAny() && t.Mode == xfrm.ModeTransport {
		return within(p.Sel.DstPrefix(), sa.DstIP()) && within(p.Sel.SrcPrefix(), sa.SrcIP())
	}
	return true
}

func within(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }
