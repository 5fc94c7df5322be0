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

func (k addresses) hash() mixed { return unmixed.address(&k.dst).address(&k.src) }

// overlaps calls f for each two contenders whose selectors share a packet, once or more often. It compares only those
// whose prefixes contain each other, so that its cost grows with the number of contenders, times that of the pairs of
// prefix lengths among them: one or two, as a rule.
func overlaps(all []contender, f func(a, b int32)) {
	var number numbering[lengths]
	var order []lengths
	var sizes []int
	of := make([]int32, len(all))
	for i, e := range all {
		l := e.lengths()
		n := number.of(l, uint32(l.dst)+uint32(l.src))
		if n == len(order) {
			order, sizes = append(order, l), append(sizes, 0)
		}
		sizes[n]++
		of[i] = int32(n)
	}
	lists := [][]contender{all}
	if len(order) > 1 {
		lists = make([][]contender, len(order))
		for i, e := range all {
			n := of[i]
			if lists[n] == nil {
				lists[n] = make([]contender, 0, sizes[n])
			}
			lists[n] = append(lists[n], e)
		}
	}
	for i, l := range order {
		for j := i; j < len(order); j++ {
			m := order[j]
			meet(lists[i], lists[j], lengths{min(l.dst, m.dst), min(l.src, m.src)}, i == j, f)
		}
	}
}

func (e contender) lengths() lengths { return lengths{e.sel.DstLen, e.sel.SrcLen} }

// meet finds the pairs of a and b that agree in their prefixes cut to at. If a and b are the same list, each pair comes
// once.
func meet(a, b []contender, at lengths, same bool, f func(a, b int32)) {
	dst, src := prefixMask(int(at.dst)), prefixMask(int(at.src))
	cut := func(e contender) addresses { return addresses{dst.of(e.sel.Dst), src.of(e.sel.Src)} }
	table := newChains(len(a), func(i int32) addresses { return cut(a[i]) })
	if !same {
		for i := range a {
			table.add(int32(i))
		}
	}
	for j := range b {
		met := func(i int32) {
			if a[i].policy != b[j].policy && shareUpper(a[i].sel, b[j].sel) {
				f(a[i].policy, b[j].policy)
			}
		}
		if same {
			table.eachThenAdd(int32(j), met)
		} else {
			table.each(cut(b[j]), met)
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
