package plan

import (
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// links says which SAs and policies belong together. Policies are numbered after the SAs in sets.
type links struct {
	sets   disjoint
	offset int32     // of policy 0 in sets
	users  [][]int32 // by policy: the SAs that its templates ask for
	dirs   []xfrm.SADir
}

// link finds for every policy the SAs that its templates ask for, joins the two directions of each Child SA, and tells
// the direction of every SA.
func link(inv *Inventory) *links {
	n := len(inv.SAs)
	l := &links{
		sets:   newDisjoint(n + len(inv.Policies)),
		offset: int32(n),
		users:  make([][]int32, len(inv.Policies)),
		dirs:   make([]xfrm.SADir, n),
	}
	l.linkTemplates(inv)
	l.linkMirrored(inv)
	l.linkPairs(inv)
	l.directions(inv)
	return l
}

func (l *links) linkTemplates(inv *Inventory) {
	index := newSAIndex(inv.SAs)
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		if p.Tagged() {
			continue
		}
		for ti := range p.Templates {
			index.find(p, &p.Templates[ti], func(i int32) {
				l.users[pi] = append(l.users[pi], i)
				l.sets.join(i, l.offset+int32(pi))
				if l.dirs[i] == xfrm.SADirUnset {
					l.dirs[i] = saDirOf(p.Dir)
				}
			})
		}
	}
}

func saDirOf(d xfrm.Dir) xfrm.SADir {
	if d == xfrm.DirOut {
		return xfrm.SADirOut
	}
	return xfrm.SADirIn
}

// linkMirrored joins policies over the same traffic: in and fwd have the selector of out, reversed.
func (l *links) linkMirrored(inv *Inventory) {
	type mirror struct {
		sel  xfrm.Selector
		mark xfrm.Mark
		ifID uint32
		typ  xfrm.PolicyType
	}
	seen := make(map[mirror]int32, len(inv.Policies)/2)
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		if len(p.Templates) == 0 || p.Tagged() {
			continue
		}
		m := mirror{p.Sel, p.Mark, p.IfID, p.Type}
		if p.Dir != xfrm.DirOut {
			m.sel = p.Sel.Reversed()
		}
		if first, ok := seen[m]; ok {
			l.sets.join(first, l.offset+int32(pi))
		} else {
			seen[m] = l.offset + int32(pi)
		}
	}
}

// linkPairs joins SAs of one reqid between the same two hosts: a Child SA's two directions, those that are about to be
// rekeyed away, and the per-CPU ones.
func (l *links) linkPairs(inv *Inventory) {
	type pair struct {
		a, b   xfrm.Address
		family xfrm.Family
		reqid  uint32
	}
	seen := make(map[pair]int32, len(inv.SAs)/2)
	for i := range inv.SAs {
		sa := &inv.SAs[i]
		if sa.Reqid == 0 || sa.Larval() {
			continue
		}
		k := pair{sa.Src, sa.ID.Dst, sa.ID.Family, sa.Reqid}
		if string(k.a[:]) > string(k.b[:]) {
			k.a, k.b = k.b, k.a
		}
		if first, ok := seen[k]; ok {
			l.sets.join(first, int32(i))
		} else {
			seen[k] = int32(i)
		}
	}
}

// directions: what the SA says, else what its policies say (set already), else where its addresses are assigned.
func (l *links) directions(inv *Inventory) {
	local := make(map[xfrm.Address]bool, len(inv.Addresses))
	for _, a := range inv.Addresses {
		local[xfrm.AddressFrom(a)] = true
	}
	for i := range inv.SAs {
		sa := &inv.SAs[i]
		switch {
		case sa.Dir != xfrm.SADirUnset:
			l.dirs[i] = sa.Dir
		case l.dirs[i] != xfrm.SADirUnset:
		case local[sa.Src] && !local[sa.ID.Dst]:
			l.dirs[i] = xfrm.SADirOut
		case local[sa.ID.Dst] && !local[sa.Src]:
			l.dirs[i] = xfrm.SADirIn
		}
	}
}
