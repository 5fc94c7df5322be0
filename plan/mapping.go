package plan

import (
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// mapping is the renumber list made ready for looking up: for each prefix length, longest first, the rules by prefix.
// A look-up costs one map access for each length in use, however many rules there are.
type mapping struct {
	v4, v6 []rulesOfLength
}

type rulesOfLength struct {
	bits  int
	rules map[netip.Prefix]netip.Prefix
}

func newMapping(renumber []Renumber) *mapping {
	m := new(mapping)
	for _, r := range renumber {
		table := m.table(r.From.Addr())
		i := slices.IndexFunc(*table, func(t rulesOfLength) bool { return t.bits == r.From.Bits() })
		if i < 0 {
			i = len(*table)
			*table = append(*table, rulesOfLength{r.From.Bits(), map[netip.Prefix]netip.Prefix{}})
		}
		(*table)[i].rules[r.From.Masked()] = r.To.Masked()
	}
	for _, table := range []*[]rulesOfLength{&m.v4, &m.v6} {
		slices.SortFunc(*table, func(a, b rulesOfLength) int { return b.bits - a.bits })
	}
	return m
}

func (m *mapping) table(a netip.Addr) *[]rulesOfLength {
	if a.Is4() {
		return &m.v4
	}
	return &m.v6
}

// apply returns what a becomes and whether a rule has it.
func (m *mapping) apply(a netip.Addr) (netip.Addr, bool) {
	if !a.IsValid() || a.IsUnspecified() {
		return a, false
	}
	for _, t := range *m.table(a) {
		from, err := a.Prefix(t.bits)
		if err != nil {
			continue
		}
		if to, ok := t.rules[from]; ok {
			return withHostBits(to, a), true
		}
	}
	return a, false
}

// withHostBits returns the address in to whose host bits are a's. A single host needs none of them, and so may be of
// another family.
func withHostBits(to netip.Prefix, a netip.Addr) netip.Addr {
	if to.IsSingleIP() {
		return to.Addr()
	}
	net, host := xfrm.AddressFrom(to.Addr()), xfrm.AddressFrom(a)
	for i := range net {
		switch keep := to.Bits() - 8*i; {
		case keep >= 8: // a network byte
		case keep <= 0:
			net[i] = host[i]
		default:
			mask := byte(0xff) << (8 - keep)
			net[i] = net[i]&mask | host[i]&^mask
		}
	}
	return net.IP(xfrm.FamilyOf(to.Addr()))
}
