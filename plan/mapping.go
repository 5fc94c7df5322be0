package plan

import (
	"encoding/binary"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// mapping is the renumber list made ready for looking up: for each prefix length, longest first, the rules by prefix.
// Mapping an address costs one look-up for each length in use, however many rules there are.
type mapping struct {
	v4, v6 []rulesOfLength
}

type rulesOfLength struct {
	mask  mask
	bits  int
	rules []rule
	find  *chains[prefix]
}

// rule maps the addresses of a prefix, whose length is that of its table.
type rule struct {
	from prefix
	to   outer
}

// prefix is an address without host bits.
type prefix xfrm.Address

func (k prefix) hash() mixed { return unmixed.address((*xfrm.Address)(&k)) }

// outer is an outer address with its family. In a rule it is the prefix that addresses are mapped to.
type outer struct {
	addr   xfrm.Address
	family xfrm.Family
}

func newMapping(renumber []Renumber) *mapping {
	m := new(mapping)
	for _, r := range renumber {
		table := m.table(xfrm.FamilyOf(r.From.Addr()))
		if table == nil {
			continue
		}
		i := slices.IndexFunc(*table, func(t rulesOfLength) bool { return t.bits == r.From.Bits() })
		if i < 0 {
			i = len(*table)
			*table = append(*table, rulesOfLength{mask: prefixMask(r.From.Bits()), bits: r.From.Bits()})
		}
		from, to := r.From.Masked().Addr(), r.To.Masked().Addr()
		t := &(*table)[i]
		t.rules = append(t.rules, rule{prefix(xfrm.AddressFrom(from)), outer{xfrm.AddressFrom(to), xfrm.FamilyOf(to)}})
	}
	for _, table := range []*[]rulesOfLength{&m.v4, &m.v6} {
		slices.SortFunc(*table, func(a, b rulesOfLength) int { return b.bits - a.bits })
		for i := range *table {
			(*table)[i].index()
		}
	}
	return m
}

func (t *rulesOfLength) index() {
	rules := t.rules
	t.find = newChains(len(rules), func(i int32) prefix { return rules[i].from })
	for i := range rules {
		t.find.add(int32(i))
	}
}

func (m *mapping) table(f xfrm.Family) *[]rulesOfLength {
	switch f {
	case xfrm.FamilyIPv4:
		return &m.v4
	case xfrm.FamilyIPv6:
		return &m.v6
	}
	return nil
}

// apply returns what an address becomes and whether a rule has it. The wildcard is nobody's address.
func (m *mapping) apply(a xfrm.Address, f xfrm.Family) (to outer, moved bool) {
	table := m.table(f)
	if table == nil || a.IsAny() {
		return outer{a, f}, false
	}
	for i := range *table {
		t := &(*table)[i]
		if i, ok := t.find.last(prefix(t.mask.of(a))); ok {
			to := t.rules[i].to
			if to.family == f { // a host that changes its family has no host bits
				to.addr = t.mask.withHostBits(to.addr, a)
			}
			return to, true
		}
	}
	return outer{a, f}, false
}

// mask is a prefix length as the bits that it covers of an address, IPv4 or IPv6: both start at the first byte.
type mask struct{ high, low uint64 }

// prefixMask takes lengths above 128, which no kernel has, as 128.
func prefixMask(bits int) mask {
	return mask{^uint64(0) << (64 - min(bits, 64)), ^uint64(0) << (128 - min(max(bits, 64), 128))}
}

// of returns the address without its host bits.
func (m mask) of(a xfrm.Address) xfrm.Address {
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])&m.high)
	binary.BigEndian.PutUint64(a[8:], binary.BigEndian.Uint64(a[8:])&m.low)
	return a
}

// withHostBits returns net with the host bits of a.
func (m mask) withHostBits(net, a xfrm.Address) xfrm.Address {
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])&^m.high|binary.BigEndian.Uint64(net[:8]))
	binary.BigEndian.PutUint64(a[8:], binary.BigEndian.Uint64(a[8:])&^m.low|binary.BigEndian.Uint64(net[8:]))
	return a
}
