package plan

import (
	"maps"
	"slices"
	"sync"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// links says which SAs and policies belong together. Policies are numbered after the SAs.
type links struct {
	sets     disjoint // what shares templates, and so a transaction
	children disjoint // the same without what wildcard templates join: Child SAs
	offset   int32    // of policy 0 in both

	// The SAs that each template asks for, in one array: those of template t of policy p are
	// users[start[first[p]+t]:start[first[p]+t+1]].
	users []int32
	start []int32
	first []int32

	dirs []xfrm.SADir // by SA
}

// link finds for every policy the SAs that its templates ask for, joins the two directions of each Child SA, and tells
// the direction of every SA.
func link(inv *Inventory) *links {
	n := len(inv.SAs)
	l := &links{
		sets:     newDisjoint(n + len(inv.Policies)),
		children: newDisjoint(n + len(inv.Policies)),
		offset:   int32(n),
		dirs:     make([]xfrm.SADir, n),
	}
	var mirrored, pairs []tie
	var finding sync.WaitGroup
	finding.Go(func() { mirrored = l.mirrored(inv) })
	finding.Go(func() { pairs = pairsOf(inv) })
	l.findUsers(inv)
	finding.Wait()
	guesses := l.joinUsers(inv)
	l.join(mirrored)
	l.join(pairs)
	l.join(l.alone(inv))
	l.directions(inv, guesses)
	return l
}

// tie says that two belong together.
type tie struct{ a, b int32 }

func (l *links) join(ties []tie) {
	for _, t := range ties {
		l.sets.join(t.a, t.b)
		l.children.join(t.a, t.b)
	}
}

// ofTemplate lists the SAs that template ti of policy pi asks for.
func (l *links) ofTemplate(pi, ti int) []int32 {
	at := int(l.first[pi]) + ti
	return l.users[l.start[at]:l.start[at+1]]
}

// ofPolicy lists the SAs that any template of policy pi asks for; one may come twice.
func (l *links) ofPolicy(pi int) []int32 {
	return l.users[l.start[l.first[pi]]:l.start[l.first[pi+1]]]
}

// findUsers finds the SAs of every template.
func (l *links) findUsers(inv *Inventory) {
	l.first = make([]int32, len(inv.Policies)+1)
	for pi := range inv.Policies {
		l.first[pi+1] = l.first[pi] + int32(len(inv.Policies[pi].Templates))
	}
	index := newSAIndex(inv.SAs)
	l.start = make([]int32, l.first[len(inv.Policies)]+1)
	var mu sync.Mutex
	pieces := make(map[int][]int32) // the users of each, by its first policy
	spread(len(inv.Policies), func(from, to int) {
		users := l.usersOf(inv, index, from, to)
		mu.Lock()
		defer mu.Unlock()
		pieces[from] = users
	})
	for _, from := range slices.Sorted(maps.Keys(pieces)) {
		l.users = append(l.users, pieces[from]...)
	}
	for i := range l.start[1:] {
		l.start[i+1] += l.start[i]
	}
}

// usersOf finds the SAs of the templates of policies from..to-1, one template's after the other's, and leaves in start
// how many each has.
func (l *links) usersOf(inv *Inventory, index *saIndex, from, to int) []int32 {
	users := make([]int32, 0, l.first[to]-l.first[from])
	for pi := from; pi < to; pi++ {
		p := &inv.Policies[pi]
		var via *xfrm.Template
		for ti := range p.Templates {
			t := &p.Templates[ti]
			had := len(users)
			if !p.Tagged() {
				index.find(p, t, via, func(i int32) { users = append(users, i) })
			}
			l.start[int(l.first[pi])+ti+1] = int32(len(users) - had)
			if t.Mode != xfrm.ModeTransport {
				via = t
			}
		}
	}
	return users
}

// joinUsers joins each policy and the SAs that its templates ask for, and notes in which direction they use them. It
// returns the directions by policies that take SAs between any hosts, and so those of the other direction as well.
func (l *links) joinUsers(inv *Inventory) (guesses []guess) {
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		var via *xfrm.Template
		for ti := range p.Templates {
			t := &p.Templates[ti]
			at := outerOf(p, t, via)
			peer := at.dst // what the kernel compares
			if p.Dir != xfrm.DirOut {
				peer = at.src
			}
			anywhere := at.src.IsAny() && at.dst.IsAny()
			for _, i := range l.ofTemplate(pi, ti) {
				l.sets.join(i, l.offset+int32(pi))
				if !peer.IsAny() {
					l.children.join(i, l.offset+int32(pi))
				}
				switch {
				case l.dirs[i] != xfrm.SADirUnset:
				case anywhere:
					guesses = append(guesses, guess{i, saDirOf(p.Dir)})
				default:
					l.dirs[i] = saDirOf(p.Dir)
				}
			}
			if t.Mode != xfrm.ModeTransport {
				via = t
			}
		}
	}
	return guesses
}

// guess is an SA's direction if nothing better tells.
type guess struct {
	sa  int32
	dir xfrm.SADir
}

func saDirOf(d xfrm.Dir) xfrm.SADir {
	if d == xfrm.DirOut {
		return xfrm.SADirOut
	}
	return xfrm.SADirIn
}

// mirror is what policies over the same traffic have in common, whichever their direction.
type mirror struct {
	sel  xfrm.Selector
	mark xfrm.Mark
	ifID uint32
	typ  xfrm.PolicyType
}

func (k mirror) hash() mixed {
	s := &k.sel
	return unmixed.address(&s.Dst).address(&s.Src).
		word(uint64(s.DPort)<<48 | uint64(s.SPort)<<32 | uint64(s.DstLen)<<16 | uint64(s.SrcLen)<<8 | uint64(s.Proto)).
		word(uint64(k.mark.Value)<<32 | uint64(k.ifID))
}

// mirrored finds policies over the same traffic: in and fwd have the selector of out, reversed.
func (l *links) mirrored(inv *Inventory) (ties []tie) {
	seen := newChains(len(inv.Policies), func(pi int32) mirror {
		p := &inv.Policies[pi]
		if p.Dir == xfrm.DirOut {
			return mirror{p.Sel, p.Mark, p.IfID, p.Type}
		}
		return mirror{p.Sel.Reversed(), p.Mark, p.IfID, p.Type}
	})
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		if len(p.Templates) == 0 || p.Tagged() {
			continue
		}
		if first, found := seen.first(int32(pi)); found {
			ties = append(ties, tie{l.offset + first, l.offset + int32(pi)})
		}
	}
	return ties
}

// alone finds policies that no SA satisfies and that ask for the same SAs, as if there were some.
func (l *links) alone(inv *Inventory) (ties []tie) {
	seen := make(map[pair]int32)
	for pi := range inv.Policies {
		p := &inv.Policies[pi]
		if len(p.Templates) == 0 || p.Tagged() || len(l.ofPolicy(pi)) != 0 {
			continue
		}
		t := &p.Templates[0]
		if t.Reqid == 0 || t.Dst.IsAny() {
			continue
		}
		k := pairOf(t.Src, t.Dst, t.Family, t.Reqid)
		if first, found := seen[k]; found {
			ties = append(ties, tie{first, l.offset + int32(pi)})
		} else {
			seen[k] = l.offset + int32(pi)
		}
	}
	return ties
}

// directions: what the SA says, else what the policies between its hosts say (set already), else where its addresses are
// assigned, else what other policies say.
func (l *links) directions(inv *Inventory, guesses []guess) {
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
	l.guess(guesses)
}

// guess sets the directions that nothing better tells and on which all guesses agree.
func (l *links) guess(guesses []guess) {
	found := make(map[int32]uint8)
	for _, g := range guesses {
		if l.dirs[g.sa] == xfrm.SADirUnset {
			found[g.sa] |= 1 << g.dir
		}
	}
	for i, dirs := range found {
		switch dirs {
		case 1 << xfrm.SADirIn:
			l.dirs[i] = xfrm.SADirIn
		case 1 << xfrm.SADirOut:
			l.dirs[i] = xfrm.SADirOut
		}
	}
}
