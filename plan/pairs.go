package plan

import (
	"bytes"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// pair is two hosts, whichever is the source, and a reqid.
type pair struct {
	a, b   xfrm.Address
	family xfrm.Family
	reqid  uint32
}

func (k pair) hash() mixed {
	return unmixed.address(&k.a).address(&k.b).word(uint64(k.reqid)<<32 | uint64(k.family))
}

func pairOf(a, b xfrm.Address, f xfrm.Family, reqid uint32) pair {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return pair{a, b, f, reqid}
}

// channel is what tells Child SAs of one reqid between the same two hosts apart, as route-based tunnels have it.
type channel struct {
	ifID uint32
	mark xfrm.Mark
}

func channelOf(sa *xfrm.SA) channel { return channel{sa.IfID, sa.Mark} }

// pairsOf finds SAs of one reqid between the same two hosts: a Child SA's two directions, those that are about to be
// rekeyed away, and the per-CPU ones.
func pairsOf(inv *Inventory) (ties []tie) {
	seen := newChains(len(inv.SAs), func(i int32) pair {
		sa := &inv.SAs[i]
		return pairOf(sa.Src, sa.ID.Dst, sa.ID.Family, sa.Reqid)
	})
	divided := make(map[int32]bool) // by a pair's first SA: there are several channels
	for i := range inv.SAs {
		sa := &inv.SAs[i]
		if sa.Reqid == 0 || sa.Larval() {
			continue
		}
		if first, found := seen.first(int32(i)); found {
			ties = append(ties, tie{first, int32(i)})
			if channelOf(&inv.SAs[first]) != channelOf(sa) {
				divided[first] = true
			}
		}
	}
	if len(divided) != 0 {
		divide(inv, ties, divided)
	}
	return ties
}

// part are the SAs of a pair that have one channel.
type part struct {
	first   int32 // of the pair
	channel channel
}

// divide ties the SAs of mixed pairs by channel instead, where each has SAs in both directions. Where one has not,
// the directions of a Child SA have channels of their own, and all stay together.
func divide(inv *Inventory, ties []tie, divided map[int32]bool) {
	heads := make(map[part]int32)
	var there, back = make(map[part]bool), make(map[part]bool)
	add := func(first, i int32) {
		p := part{first, channelOf(&inv.SAs[i])}
		if _, found := heads[p]; !found {
			heads[p] = i
		}
		if inv.SAs[i].Src == inv.SAs[first].Src {
			there[p] = true
		} else {
			back[p] = true
		}
	}
	for first := range divided {
		add(first, first)
	}
	for _, t := range ties {
		if divided[t.a] {
			add(t.a, t.b)
		}
	}
	for p := range heads {
		if !there[p] || !back[p] {
			delete(divided, p.first)
		}
	}
	for n, t := range ties {
		if divided[t.a] {
			ties[n].a = heads[part{t.a, channelOf(&inv.SAs[t.b])}]
		}
	}
}
