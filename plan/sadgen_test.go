package plan_test

import (
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// sadGen draws inventories as kernels have them: Child SAs of several kinds over few addresses and few SPIs, so that
// they meet.
type sadGen struct {
	t     *rapid.T
	inv   plan.Inventory
	index uint32
}

var (
	locals4  = addrs("192.0.2.1", "192.0.2.2", "192.0.2.18")
	remotes4 = addrs("203.0.113.1", "203.0.113.2", "203.0.113.200")
	locals6  = addrs("2001:db8:10::1", "2001:db8:10::2")
	remotes6 = addrs("2001:db8:30::1", "2001:db8:30:1::1")
)

func addrs(s ...string) (all []netip.Addr) {
	for _, a := range s {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func pick[T any](t *rapid.T, name string, from []T) T { return rapid.SampledFrom(from).Draw(t, name) }

// drawInventory draws an inventory of up to n Child SAs.
func drawInventory(t *rapid.T, n int) *plan.Inventory {
	g := &sadGen{t: t}
	for i := range rapid.IntRange(1, n).Draw(t, "child SAs") {
		g.child(uint32(i + 1))
	}
	g.inv.Addresses = slices.Concat(locals4, locals6)
	return &g.inv
}

// reqidEachWay is what the inbound reqid is higher where each direction has its own.
const reqidEachWay = 100

// childOf returns the number of an SA's Child SA.
func childOf(sa *xfrm.SA) uint32 { return sa.Reqid % reqidEachWay }

// child adds a Child SA of its own inner networks.
func (g *sadGen) child(n uint32) {
	local, remote := pick(g.t, "local", locals4), pick(g.t, "remote", remotes4)
	if rapid.IntRange(0, 3).Draw(g.t, "outer family") == 0 {
		local, remote = pick(g.t, "local", locals6), pick(g.t, "remote", remotes6)
	}
	kind := pick(g.t, "kind", []string{"tunnel", "tunnel", "transport", "wildcard", "reqids", "reqids", "mark", "overlap", "ipcomp",
		"beet", "ah", "if_id", "if_id each way", "nat-t", "per-cpu", "label", "optional", "sub-policy", "any source", "larval"})
	mode, proto, in, out := xfrm.ModeTunnel, xfrm.ProtoESP, n, n
	var ifIn, ifOut uint32
	var mark xfrm.Mark
	switch kind {
	case "transport", "wildcard":
		mode = xfrm.ModeTransport
	case "beet":
		mode = xfrm.ModeBEET
	case "ah":
		proto = xfrm.ProtoAH
	case "if_id":
		ifIn, ifOut = n, n
	case "if_id each way":
		ifIn, ifOut = n, n+100
	case "reqids":
		in = n + reqidEachWay
	case "mark":
		mark = xfrm.Mark{Value: n & 3, Mask: 3}
	}
	sa := func(src, dst netip.Addr, reqid uint32, dir xfrm.SADir) {
		s := xfrm.SA{
			ID:  xfrm.SAID{Dst: xfrm.AddressFrom(dst), SPI: xfrm.SPI(rapid.IntRange(1, 9).Draw(g.t, "SPI")), Family: xfrm.FamilyOf(dst), Proto: proto},
			Src: xfrm.AddressFrom(src), Reqid: reqid, Mode: mode, IfID: ifIn, CPU: xfrm.AnyCPU, HasAlgorithm: true,
		}
		if dir == xfrm.SADirOut {
			s.Mark, s.IfID = mark, ifOut
		}
		if rapid.Bool().Draw(g.t, "says its direction") {
			s.Dir = dir
		}
		switch kind {
		case "nat-t":
			s.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}
		case "per-cpu":
			s.CPU = uint32(rapid.IntRange(0, 1).Draw(g.t, "CPU"))
		case "label":
			s.Label = pick(g.t, "label", []string{"low", "high"})
		case "larval":
			s.HasAlgorithm = rapid.Bool().Draw(g.t, "has keys")
		case "transport":
			s.Sel = xfrm.SelectorFor(host(src), host(dst))
		}
		if kind == "ipcomp" {
			comp := s
			comp.ID.Proto, s.Mode = xfrm.ProtoComp, xfrm.ModeTransport
			g.addSA(comp)
		}
		g.addSA(s)
	}
	for range rapid.IntRange(0, 2).Draw(g.t, "outbound SAs") {
		sa(local, remote, out, xfrm.SADirOut)
	}
	for range rapid.IntRange(0, 2).Draw(g.t, "inbound SAs") {
		sa(remote, local, in, xfrm.SADirIn)
	}
	// Only policies tell that SAs of two reqids are one Child SA.
	if kind != "reqids" && rapid.IntRange(0, 5).Draw(g.t, "has policies") == 0 {
		return
	}
	selectors := []xfrm.Selector{inner4(n), inner6(n)}
	switch kind {
	case "transport":
		selectors = []xfrm.Selector{xfrm.SelectorFor(host(local), host(remote))}
	case "wildcard":
		selectors = []xfrm.Selector{xfrm.SelectorFor(all(local), netip.PrefixFrom(remote, remote.BitLen()-int(n&1)).Masked())}
	case "overlap":
		selectors[0] = xfrm.SelectorFor(netip.MustParsePrefix("10.0.0.0/8"), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(n)}), rapid.IntRange(8, 24).Draw(g.t, "length")))
	}
	priority := uint32(pick(g.t, "priority", []int{0, 100, 100, 200}))
	for _, sel := range selectors {
		for _, dir := range []xfrm.Dir{xfrm.DirOut, xfrm.DirIn, xfrm.DirFwd} {
			t := xfrm.Template{Dst: xfrm.AddressFrom(remote), Src: xfrm.AddressFrom(local), Family: xfrm.FamilyOf(local), Proto: proto, Mode: mode, Reqid: out}
			p := xfrm.Policy{Sel: sel, Dir: dir, Priority: priority, Limits: xfrm.NoLimits, Mark: mark, IfID: ifOut}
			if dir != xfrm.DirOut {
				p.Sel, p.Mark, p.IfID = sel.Reversed(), xfrm.Mark{}, ifIn
				t.Dst, t.Src, t.Reqid = t.Src, t.Dst, in
			}
			switch {
			case mode == xfrm.ModeTransport:
				t.Dst, t.Src = xfrm.Address{}, xfrm.Address{}
			case kind == "any source" && dir != xfrm.DirOut:
				t.Src = xfrm.Address{}
			case kind == "optional" && dir != xfrm.DirOut:
				t.Optional = 1
			}
			switch kind {
			case "label":
				p.Label = "spd"
			case "sub-policy":
				p.Type = xfrm.PolicySub
			}
			p.Templates = []xfrm.Template{t}
			if kind == "ipcomp" {
				t.Proto = xfrm.ProtoComp
				inside := xfrm.Template{Family: t.Family, Proto: xfrm.ProtoESP, Mode: xfrm.ModeTransport, Reqid: t.Reqid}
				p.Templates = []xfrm.Template{t, inside}
			}
			g.addPolicy(p)
		}
	}
	if kind == "overlap" {
		g.addPolicy(xfrm.Policy{Sel: xfrm.SelectorFor(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")),
			Dir: xfrm.DirOut, Priority: priority, Limits: xfrm.NoLimits})
	}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
func all(a netip.Addr) netip.Prefix  { return netip.PrefixFrom(a, 0).Masked() }

func inner4(n uint32) xfrm.Selector {
	return xfrm.SelectorFor(netip.MustParsePrefix("10.1.0.0/24"), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(n)}), 24))
}

func inner6(n uint32) xfrm.Selector {
	dst := netip.MustParseAddr("fd02::").As16()
	dst[7] = byte(n)
	return xfrm.SelectorFor(netip.MustParsePrefix("fd01::/64"), netip.PrefixFrom(netip.AddrFrom16(dst), 64))
}

// addSA adds an SA as the kernel would: not if looking for it finds another one.
func (g *sadGen) addSA(s xfrm.SA) {
	for i := range g.inv.SAs {
		if finds(s.ID, s.Mark, &g.inv.SAs[i]) {
			s.ID.SPI += 16 // the drawn one is taken
			if s.ID.SPI < 200 {
				g.addSA(s)
			}
			return
		}
	}
	g.inv.SAs = append(g.inv.SAs, s)
}

func (g *sadGen) addPolicy(p xfrm.Policy) {
	for i := range g.inv.Policies {
		if g.inv.Policies[i].Key() == p.Key() {
			return
		}
	}
	p.Index = g.index<<3 | uint32(p.Dir)
	g.index++
	g.inv.Policies = append([]xfrm.Policy{p}, g.inv.Policies...)
}

// drawRules draws what is renumbered. Without rings no address is both in a `from` and in a `to`.
func drawRules(t *rapid.T, rings bool) []plan.Renumber {
	choices := [][]plan.Renumber{
		{rule("192.0.2.0/24", "198.51.100.0/24")},
		{rule("192.0.2.0/28", "198.51.100.16/28"), rule("2001:db8:10::/64", "2001:db8:20::/64")},
		{rule("192.0.2.0/24", "198.51.100.0/24"), rule("192.0.2.2/32", "198.51.101.77/32")},
		{rule("203.0.113.0/24", "198.51.100.0/24"), rule("203.0.113.0/28", "198.51.102.0/28")},
		{rule("192.0.2.1/32", "2001:db8:20::1/128"), rule("203.0.113.1/32", "2001:db8:30::f/128"), rule("203.0.113.2/32", "2001:db8:30::e/128")},
	}
	if rings {
		choices = append(choices,
			[]plan.Renumber{rule("192.0.2.1/32", "192.0.2.2/32"), rule("192.0.2.2/32", "192.0.2.1/32")},
			[]plan.Renumber{rule("192.0.2.1/32", "192.0.2.2/32"), rule("192.0.2.2/32", "192.0.2.18/32"), rule("192.0.2.18/32", "192.0.2.1/32")},
			[]plan.Renumber{rule("192.0.2.1/32", "192.0.2.2/32"), rule("192.0.2.2/32", "192.0.2.18/32")},
			[]plan.Renumber{rule("203.0.113.1/32", "203.0.113.2/32"), rule("203.0.113.2/32", "203.0.113.3/32"), rule("192.0.2.0/28", "198.51.100.0/28")},
		)
	}
	return pick(t, "rules", choices)
}
