package schema

import (
	"net/netip"
	"sort"
)

// segment is a range of old addresses that one entry of renumber applies to, by longest prefix.
type segment struct {
	low, high netip.Addr
	of        *mapping
}

// first and last are what the ends of the range become.
func (s segment) first() netip.Addr { return move(s.low, s.of.from, s.of.to) }
func (s segment) last() netip.Addr  { return move(s.high, s.of.from, s.of.to) }

// source is the old address that becomes a, an address from first to last.
func (s segment) source(a netip.Addr) netip.Addr { return move(a, s.of.to, s.of.from) }

// move replaces the prefix of an address and keeps its host bits. The prefixes have one length, or are hosts of two
// families.
func move(a netip.Addr, from, to netip.Prefix) netip.Addr {
	if from.IsSingleIP() {
		return to.Addr()
	}
	if a.Is4() {
		host, out := a.As4(), to.Addr().As4()
		graft(out[:], host[:], to.Bits())
		return netip.AddrFrom4(out)
	}
	host, out := a.As16(), to.Addr().As16()
	graft(out[:], host[:], to.Bits())
	return netip.AddrFrom16(out)
}

// graft sets the bits of out from bit number bits on to those of host.
func graft(out, host []byte, bits int) {
	for i := range out {
		var mask byte // of the host bits
		switch {
		case 8*i >= bits:
			mask = 0xff
		case 8*i+8 > bits:
			mask = 0xff >> (bits - 8*i)
		}
		out[i] = out[i]&^mask | host[i]&mask
	}
}

// segments cuts the address space where another entry begins or ends to apply. Entries have different from prefixes.
// The prefixes form trees, so one pass in their order with a stack of the open ones finds all: no list of entries,
// however they nest, takes more than its sorting.
func segments(maps []mapping) []segment {
	order := make([]*mapping, len(maps))
	for i := range maps {
		order[i] = &maps[i]
	}
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i].from, order[j].from
		if a.Addr() != b.Addr() {
			return a.Addr().Less(b.Addr())
		}
		return a.Bits() < b.Bits()
	})
	out := make([]segment, 0, len(maps)) // more if entries nest
	var open []*mapping
	var next netip.Addr // the first address not yet in a segment, while one is open
	emit := func(high netip.Addr) {
		if top := open[len(open)-1]; next.IsValid() && !high.Less(next) {
			out = append(out, segment{low: next, high: high, of: top})
		}
	}
	shut := func() {
		high := highest(open[len(open)-1].from)
		emit(high)
		next = high.Next()
		open = open[:len(open)-1]
	}
	for _, m := range order {
		for len(open) > 0 && !open[len(open)-1].from.Overlaps(m.from) {
			shut()
		}
		if len(open) > 0 && m.from.Addr() != next {
			emit(m.from.Addr().Prev())
		}
		open, next = append(open, m), m.from.Addr()
	}
	for len(open) > 0 {
		shut()
	}
	return out
}

// highest is the last address of a prefix.
func highest(p netip.Prefix) netip.Addr {
	ones := [16]byte{}
	for i := range ones {
		ones[i] = 0xff
	}
	if p.Addr().Is4() {
		return move(netip.AddrFrom4([4]byte(ones[:4])), p, p)
	}
	return move(netip.AddrFrom16(ones), p, p)
}
