package plan

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// contender is a policy with one of the selectors that it has before or after the plan.
type contender struct {
	policy int32
	sel    *xfrm.Selector
}

// lengths are the prefix lengths of a selector.
type lengths struct{ dst, src uint8 }

// addresses are the ends of a selector, cut to lengths.
type addresses struct{ dst, src xfrm.Address }

// overlaps calls f for each two contenders whose selectors share a packet, once or more often. It compares only those
// whose prefixes contain each other, so that its cost grows with the number of contenders, times that of the pairs of
// prefix lengths among them: one or two, as a rule.
func overlaps(all []contender, f func(a, b int32)) {
	byLengths := make(map[lengths][]contender)
	var order []lengths // not the map's
	for _, e := range all {
		l := lengths{e.sel.DstLen, e.sel.SrcLen}
		if byLengths[l] == nil {
			order = append(order, l)
		}
		byLengths[l] = append(byLengths[l], e)
	}
	for i, l := range order {
		for _, m := range order[i:] {
			meet(byLengths[l], byLengths[m], lengths{min(l.dst, m.dst), min(l.src, m.src)}, l == m, f)
		}
	}
}

// meet finds the pairs of a and b that agree in their prefixes cut to at. If a and b are the same list, each pair comes
// once.
func meet(a, b []contender, at lengths, same bool, f func(a, b int32)) {
	dst, src := prefixMask(int(at.dst)), prefixMask(int(at.src))
	cut := func(e contender) addresses { return addresses{dst.of(e.sel.Dst), src.of(e.sel.Src)} }
	table := newChains[addresses](len(a))
	if !same {
		for i := range a {
			table.add(cut(a[i]), int32(i))
		}
	}
	for j := range b {
		k := cut(b[j])
		table.each(k, func(i int32) {
			if a[i].policy != b[j].policy && shareUpper(a[i].sel, b[j].sel) {
				f(a[i].policy, b[j].policy)
			}
		})
		if same {
			table.add(k, int32(j))
		}
	}
}

// shareUpper reports whether a packet can match what two selectors say besides addresses.
func shareUpper(a, b *xfrm.Selector) bool {
	return (a.Proto == b.Proto || a.Proto == 0 || b.Proto == 0) &&
		(a.IfIndex == b.IfIndex || a.IfIndex == 0 || b.IfIndex == 0) &&
		(a.DPort^b.DPort)&a.DPortMask&b.DPortMask == 0 &&
		(a.SPort^b.SPort)&a.SPortMask&b.SPortMask == 0
}
