package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// espSA is a tunnel-mode SA.
func espSA(src, dst string, spi xfrm.SPI, reqid uint32, change ...func(*xfrm.SA)) xfrm.SA {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	sa := xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(d), SPI: spi, Family: xfrm.FamilyOf(d), Proto: xfrm.ProtoESP},
		Src: xfrm.AddressFrom(s), Reqid: reqid, Mode: xfrm.ModeTunnel, CPU: xfrm.AnyCPU, HasAlgorithm: true,
	}
	for _, f := range change {
		f(&sa)
	}
	return sa
}

func marked(value, mask uint32) func(*xfrm.SA) {
	return func(sa *xfrm.SA) { sa.Mark = xfrm.Mark{Value: value, Mask: mask} }
}

// outPolicy is the outbound policy of an SA of espSA.
func outPolicy(index uint32, src, dst string, sa xfrm.SA) xfrm.Policy {
	return xfrm.Policy{
		Sel: xfrm.SelectorFor(netip.MustParsePrefix(src), netip.MustParsePrefix(dst)), Dir: xfrm.DirOut, Index: index<<3 | 1, Priority: 100,
		Limits:    xfrm.NoLimits,
		Templates: []xfrm.Template{{Dst: sa.ID.Dst, Src: sa.Src, Family: sa.ID.Family, Proto: sa.ID.Proto, Mode: sa.Mode, Reqid: sa.Reqid}},
	}
}

func overriding(set plan.Changes) func(*plan.Document) {
	return func(d *plan.Document) { d.Overrides = []plan.Override{{Set: set}} }
}

func rules(all ...plan.Renumber) func(*plan.Document) {
	return func(d *plan.Document) { d.Renumber = all }
}

// TestRefusals has a case for every slug, and cases beside it that are not refused.
func TestRefusals(t *testing.T) {
	const local, remote, moved = "192.0.2.1", "203.0.113.1", "198.51.100.1"
	out := espSA(local, remote, 1, 7)
	in := espSA(remote, local, 2, 7)
	directed := func(d xfrm.SADir) func(*xfrm.SA) { return func(sa *xfrm.SA) { sa.Dir = d } }
	udp := func(sa *xfrm.SA) { sa.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500} }
	tcp := func(sa *xfrm.SA) { sa.Encap = xfrm.Encap{Type: 7, SPort: 4500, DPort: 4500} }
	offloaded := func(sa *xfrm.SA) { sa.Offload = xfrm.Offload{IfIndex: 3} }
	transport := func(sa *xfrm.SA) { sa.Mode = xfrm.ModeTransport }
	hosts := xfrm.SelectorFor(netip.MustParsePrefix(local+"/32"), netip.MustParsePrefix(remote+"/32"))
	newHosts := xfrm.SelectorFor(netip.MustParsePrefix(moved+"/32"), netip.MustParsePrefix(remote+"/32"))
	hostAndNet := xfrm.SelectorFor(netip.MustParsePrefix(local+"/32"), netip.MustParsePrefix("203.0.113.0/24"))
	hostPolicy := func(sel xfrm.Selector, index uint32) xfrm.Policy {
		p := outPolicy(index, "0.0.0.0/0", "0.0.0.0/0", espSA(local, remote, 1, 7, transport))
		p.Sel = sel
		return p
	}
	inbound := func(priority uint32) xfrm.Policy {
		p := outPolicy(1, "10.2.0.0/24", "10.1.0.0/24", in)
		p.Dir, p.Index, p.Priority = xfrm.DirIn, 8, priority
		return p
	}
	bypass := func(priority uint32) xfrm.Policy {
		p := inbound(priority)
		p.Sel, p.Index, p.Templates = xfrm.SelectorFor(netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.1.0.0/16")), 16, nil
		return p
	}
	optional := func(p xfrm.Policy) xfrm.Policy {
		p.Templates = slices.Clone(inbound(0).Templates)
		p.Templates[0].Optional = 1
		return p
	}
	elsewhere := func(p xfrm.Policy) xfrm.Policy {
		p.Sel = xfrm.SelectorFor(netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("10.1.0.0/16"))
		return p
	}
	outward := func(p xfrm.Policy) xfrm.Policy {
		p.Dir, p.Index = xfrm.DirOut, 17
		p.Sel = xfrm.SelectorFor(netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16"))
		return p
	}
	outwardFirst := outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)
	outwardFirst.Priority = 0
	blocking := func(p xfrm.Policy) xfrm.Policy { p.Action = xfrm.Block; return p }
	ofMark := func(value uint32) xfrm.Policy {
		p := outPolicy(value, "10.1.0.0/24", "10.2.0.0/24", out)
		p.Mark = xfrm.Mark{Value: value, Mask: 0xff}
		return p
	}
	remoteMarked := func(value uint32) func(*plan.Document) {
		return func(d *plan.Document) {
			overriding(plan.Changes{Mark: &xfrm.Mark{Value: value, Mask: 0xff}})(d)
			d.Renumber = []plan.Renumber{rule(remote+"/32", "198.51.100.9/32")}
		}
	}
	ah := espSA(local, remote, 1, 7, directed(xfrm.SADirOut), func(sa *xfrm.SA) { sa.ID.Proto = xfrm.ProtoAH })
	ports := plan.Changes{Encap: &plan.EncapChange{LocalPort: 4500, RemotePort: 4500}, NATKeepalive: ptr(uint32(20))}
	encapNone := plan.Changes{Encap: &plan.EncapChange{None: true}}
	hostToHost := plan.Changes{Selector: &plan.SelectorChange{Kind: plan.SelectorHostToHost}}

	for _, tc := range []struct {
		name     string
		sas      []xfrm.SA
		policies []xfrm.Policy
		doc      func(*plan.Document)
		want     []plan.Slug
	}{
		{name: "nothing to object to", sas: []xfrm.SA{out, in}},
		{name: "occupied by an SA that stays", sas: []xfrm.SA{in, espSA(remote, moved, 2, 9)}, want: []plan.Slug{plan.SlugConflict}},
		{name: "occupied by an SPI that is being negotiated", sas: []xfrm.SA{in, espSA(remote, moved, 2, 0, func(sa *xfrm.SA) { sa.HasAlgorithm = false })},
			want: []plan.Slug{plan.SlugConflict}},
		{name: "the same SPI with another protocol", sas: []xfrm.SA{in, espSA(remote, moved, 2, 9, func(sa *xfrm.SA) { sa.ID.Proto = xfrm.ProtoAH })}},
		{name: "the same SPI with a mark that tells them apart", sas: []xfrm.SA{espSA(remote, local, 2, 7, marked(1, 1)), espSA(remote, moved, 2, 9, marked(2, 3))}},
		{name: "a wildcard mark at the target finds it", sas: []xfrm.SA{espSA(remote, local, 2, 7, marked(1, 1)), espSA(remote, moved, 2, 9)},
			want: []plan.Slug{plan.SlugConflict}},
		{name: "it would take over what a mark at the target is for", sas: []xfrm.SA{in, espSA(remote, moved, 2, 9, marked(0, 0xff))},
			want: []plan.Slug{plan.SlugConflict}},
		{name: "occupied by an SA of which only the source moves", sas: []xfrm.SA{out, espSA("192.0.2.2", "203.0.113.2", 1, 9)},
			doc:  rules(rule("192.0.2.2/32", "198.51.100.2/32"), rule("203.0.113.1/32", "203.0.113.2/32")),
			want: []plan.Slug{plan.SlugConflict}},
		{name: "two become one", sas: []xfrm.SA{in, espSA(remote, "192.0.3.1", 2, 8)},
			doc:  rules(rule("192.0.2.0/24", "198.51.100.0/24"), rule("192.0.3.1/32", "198.51.100.1/32")),
			want: []plan.Slug{plan.SlugSameTarget}},
		{name: "one end changes its family", sas: []xfrm.SA{out}, doc: rules(rule("192.0.2.1/32", "2001:db8::1/128")), want: []plan.Slug{plan.SlugMixedFamilies}},
		{name: "one end of a template changes its family", policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)},
			doc: rules(rule("192.0.2.1/32", "2001:db8::1/128")), want: []plan.Slug{plan.SlugMixedFamilies}},
		{name: "one direction of a Child SA", sas: []xfrm.SA{out, in},
			doc:  func(d *plan.Document) { d.Select.Exclude = []plan.Match{{SPI: ptr(xfrm.SPI(2))}} },
			want: []plan.Slug{plan.SlugPartlySelected}},
		{name: "reqids of one policy part", sas: []xfrm.SA{out, espSA(local, remote, 5, 7)},
			policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)},
			doc: func(d *plan.Document) {
				d.Overrides = []plan.Override{{Match: plan.Match{SPI: ptr(xfrm.SPI(5))}, Set: plan.Changes{Reqid: ptr(uint32(70))}}}
			},
			want: []plan.Slug{plan.SlugPartlySelected}},
		{name: "offloaded", sas: []xfrm.SA{espSA(local, remote, 1, 7, offloaded)}, want: []plan.Slug{plan.SlugOffload}},
		{name: "offloaded and dropped", sas: []xfrm.SA{espSA(local, remote, 1, 7, offloaded)},
			doc: overriding(plan.Changes{Offload: &plan.OffloadChange{None: true}})},
		{name: "offloaded elsewhere", sas: []xfrm.SA{espSA(local, remote, 1, 7, offloaded)},
			doc: overriding(plan.Changes{Offload: &plan.OffloadChange{Dev: "eth1"}})},
		{name: "offloaded to nowhere", sas: []xfrm.SA{espSA(local, remote, 1, 7)},
			doc: overriding(plan.Changes{Offload: &plan.OffloadChange{Dev: "eth7"}}), want: []plan.Slug{plan.SlugUnknownLink}},
		{name: "another one is found for its mark", sas: []xfrm.SA{espSA(local, remote, 1, 7, marked(1, 0xff)), espSA(local, remote, 1, 8)},
			want: []plan.Slug{plan.SlugAmbiguousMark}},
		{name: "marks that differ", sas: []xfrm.SA{espSA(local, remote, 1, 7, marked(1, 0xff)), espSA(local, remote, 1, 8, marked(2, 0xff))}},
		{name: "two in the way, told apart by their marks",
			sas:  []xfrm.SA{espSA(remote, local, 2, 7, marked(1, 1)), espSA(remote, "192.0.2.2", 2, 8, marked(1, 3)), espSA(remote, "192.0.2.2", 2, 9, marked(3, 3))},
			doc:  rules(rule("192.0.2.1/32", "192.0.2.2/32"), rule("192.0.2.2/32", "192.0.2.3/32")),
			want: []plan.Slug{plan.SlugAmbiguousMark}},
		{name: "a new mark at the old destination", sas: []xfrm.SA{out}, doc: overriding(plan.Changes{Mark: &xfrm.Mark{Value: 1, Mask: 1}}),
			want: []plan.Slug{plan.SlugMarkOnly}},
		{name: "a new mark at a new destination", sas: []xfrm.SA{in}, doc: overriding(plan.Changes{Mark: &xfrm.Mark{Value: 1, Mask: 1}})},
		{name: "a new mark that the policy doesn't have", sas: []xfrm.SA{out}, policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out)},
			doc: remoteMarked(1), want: []plan.Slug{plan.SlugPolicyMark}},
		{name: "a new mark that the policy has", sas: []xfrm.SA{out}, policies: []xfrm.Policy{ofMark(1)}, doc: remoteMarked(1)},
		{name: "a new mark inbound, where the policy takes any", sas: []xfrm.SA{in}, policies: []xfrm.Policy{inbound(100)},
			doc: overriding(plan.Changes{Mark: &xfrm.Mark{Value: 1, Mask: 1}})},
		{name: "a reqid that another Child SA has", sas: []xfrm.SA{out, espSA(local, remote, 3, 9)},
			policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/24", "10.3.0.0/24", espSA(local, remote, 3, 9))},
			doc: func(d *plan.Document) {
				d.Overrides = []plan.Override{{Match: plan.Match{Reqid: ptr(uint32(7))}, Set: plan.Changes{Reqid: ptr(uint32(9))}}}
			},
			want: []plan.Slug{plan.SlugSharedTemplate}},
		{name: "one new reqid for two Child SAs", sas: []xfrm.SA{out, espSA(local, remote, 3, 9)},
			policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/24", "10.3.0.0/24", espSA(local, remote, 3, 9))},
			doc:      overriding(plan.Changes{Reqid: ptr(uint32(70))}),
			want:     []plan.Slug{plan.SlugSharedTemplate, plan.SlugSharedTemplate}},
		{name: "one new reqid for Child SAs to two hosts", sas: []xfrm.SA{out, espSA(local, "203.0.113.2", 3, 9)},
			policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/24", "10.3.0.0/24", espSA(local, "203.0.113.2", 3, 9))},
			doc:      overriding(plan.Changes{Reqid: ptr(uint32(70))})},
		{name: "the reqid of a policy that waits for its SA", sas: []xfrm.SA{out},
			policies: []xfrm.Policy{outPolicy(1, "10.1.0.0/24", "10.2.0.0/24", out), outPolicy(2, "10.1.0.0/24", "10.3.0.0/24", espSA(local, remote, 3, 9))},
			doc: func(d *plan.Document) {
				d.Overrides = []plan.Override{{Match: plan.Match{Reqid: ptr(uint32(7))}, Set: plan.Changes{Reqid: ptr(uint32(9))}}}
			},
			want: []plan.Slug{plan.SlugSharedTemplate}},
		{name: "a transport-mode SA's own selector", sas: []xfrm.SA{espSA(local, remote, 1, 7, transport, func(sa *xfrm.SA) { sa.Sel = hosts })},
			want: []plan.Slug{plan.SlugTransportSelector}},
		{name: "a transport-mode SA's policy", sas: []xfrm.SA{espSA(local, remote, 1, 7, transport)}, policies: []xfrm.Policy{hostPolicy(hosts, 1)},
			want: []plan.Slug{plan.SlugTransportSelector}},
		{name: "a transport-mode policy without an SA", policies: []xfrm.Policy{hostPolicy(hosts, 1)}, want: []plan.Slug{plan.SlugTransportSelector}},
		{name: "one from a host to a prefix", policies: []xfrm.Policy{hostPolicy(hostAndNet, 1)}, want: []plan.Slug{plan.SlugTransportSelector}},
		{name: "one between other hosts", policies: []xfrm.Policy{hostPolicy(newHosts, 1)}},
		{name: "one that follows", policies: []xfrm.Policy{hostPolicy(hosts, 1), hostPolicy(hostAndNet, 2)}, doc: overriding(hostToHost)},
		{name: "one that can't follow to another family", policies: []xfrm.Policy{hostPolicy(hostAndNet, 1)},
			doc: func(d *plan.Document) { overriding(hostToHost)(d); toIPv6(d) }, want: []plan.Slug{plan.SlugTransportSelector}},
		{name: "one that is left out", policies: []xfrm.Policy{hostPolicy(hosts, 1)},
			doc: func(d *plan.Document) {
				d.Select.Exclude = []plan.Match{{Mode: ptr(xfrm.ModeTransport), Local: netip.MustParsePrefix(local + "/32")}}
			}},
		{name: "both follow", sas: []xfrm.SA{espSA(local, remote, 1, 7, transport, func(sa *xfrm.SA) { sa.Sel = hosts })},
			policies: []xfrm.Policy{hostPolicy(hosts, 1)}, doc: overriding(hostToHost)},
		{name: "a policy is there already", sas: []xfrm.SA{espSA(local, remote, 1, 7, transport)},
			policies: []xfrm.Policy{hostPolicy(newHosts, 2), hostPolicy(hosts, 1)}, doc: overriding(hostToHost), want: []plan.Slug{plan.SlugPolicyExists}},
		{name: "a keepalive without encapsulation", sas: []xfrm.SA{espSA(local, remote, 1, 7, directed(xfrm.SADirOut))},
			doc: overriding(plan.Changes{NATKeepalive: ptr(uint32(20))}), want: []plan.Slug{plan.SlugNeedsEncap}},
		{name: "a keepalive with encapsulation", sas: []xfrm.SA{espSA(local, remote, 1, 7, directed(xfrm.SADirOut), udp)},
			doc: overriding(plan.Changes{NATKeepalive: ptr(uint32(20))})},
		{name: "a keepalive that the removed encapsulation takes along", sas: []xfrm.SA{espSA(local, remote, 1, 7, directed(xfrm.SADirOut), udp)},
			doc: overriding(plan.Changes{Encap: encapNone.Encap, NATKeepalive: ptr(uint32(0))})},
		{name: "a keepalive for an SA without direction", sas: []xfrm.SA{espSA(local, remote, 1, 7, udp)},
			doc: overriding(plan.Changes{NATKeepalive: ptr(uint32(20))}), want: []plan.Slug{plan.SlugUnknownDirection}},
		{name: "ports for AH", sas: []xfrm.SA{ah}, doc: overriding(ports), want: []plan.Slug{plan.SlugNotESP}},
		{name: "ports for AH in a bundle with ESP", sas: []xfrm.SA{ah, espSA(local, remote, 2, 7, directed(xfrm.SADirOut))}, doc: overriding(ports)},
		{name: "ports for AH beside another Child SA's ESP", sas: []xfrm.SA{ah, espSA(local, remote, 2, 8, directed(xfrm.SADirOut))}, doc: overriding(ports),
			want: []plan.Slug{plan.SlugNotESP}},
		{name: "no ports for AH", sas: []xfrm.SA{ah}, doc: overriding(encapNone)},
		{name: "a keepalive for AH", sas: []xfrm.SA{ah}, doc: overriding(plan.Changes{NATKeepalive: ptr(uint32(20))}), want: []plan.Slug{plan.SlugNotESP}},
		{name: "a mapping age without encapsulation", sas: []xfrm.SA{espSA(remote, local, 1, 7, directed(xfrm.SADirIn))},
			doc: overriding(plan.Changes{MappingMaxAge: ptr(uint32(20))}), want: []plan.Slug{plan.SlugNeedsEncap}},
		{name: "ports where nothing tells the direction", sas: []xfrm.SA{espSA("192.0.2.9", remote, 1, 7)},
			doc:  overriding(plan.Changes{Encap: &plan.EncapChange{LocalPort: 4500, RemotePort: 1}}),
			want: []plan.Slug{plan.SlugUnknownDirection}},
		{name: "encapsulation that can't come back", sas: []xfrm.SA{espSA(local, remote, 1, 7, tcp)}, doc: overriding(encapNone),
			want: []plan.Slug{plan.SlugIrreversible}},
		{name: "a bypass that is younger than an inbound policy of priority 0", sas: []xfrm.SA{in}, policies: []xfrm.Policy{bypass(0), inbound(0)},
			want: []plan.Slug{plan.SlugClearInward}},
		{name: "a younger policy of priority 0 with optional templates only", sas: []xfrm.SA{in},
			policies: []xfrm.Policy{optional(bypass(0)), inbound(0)}, want: []plan.Slug{plan.SlugClearInward}},
		{name: "a bypass of priority 0 that is older", sas: []xfrm.SA{in}, policies: []xfrm.Policy{inbound(0), bypass(0)}},
		{name: "a younger bypass that comes second", sas: []xfrm.SA{in}, policies: []xfrm.Policy{bypass(1), inbound(0)}},
		{name: "a younger bypass of a priority that can be covered", sas: []xfrm.SA{in}, policies: []xfrm.Policy{bypass(100), inbound(100)}},
		{name: "a younger bypass for other packets", sas: []xfrm.SA{in}, policies: []xfrm.Policy{elsewhere(bypass(0)), inbound(0)}},
		{name: "a younger bypass outbound, which is blocked first", sas: []xfrm.SA{out}, policies: []xfrm.Policy{outward(bypass(0)), outwardFirst}},
		{name: "a younger block", sas: []xfrm.SA{in}, policies: []xfrm.Policy{blocking(bypass(0)), inbound(0)}},
		{name: "an orphaned block", policies: []xfrm.Policy{{Sel: hosts.Tagged(xfrm.Tag), Dir: xfrm.DirOut, Action: xfrm.Block, Index: 9}},
			want: []plan.Slug{plan.SlugBlockOrphan}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := ispSwap()
			if tc.doc != nil {
				tc.doc(doc)
			}
			inv := &plan.Inventory{SAs: tc.sas, Policies: tc.policies, Links: []plan.Link{{Name: "eth1", Index: 4}},
				Addresses: []netip.Addr{netip.MustParseAddr(local)}}
			p := plan.Compute(doc, inv)
			var got []plan.Slug
			for _, r := range p.Refusals {
				got = append(got, r.Slug)
				if r.Hint == "" || strings.HasSuffix(r.Hint, ".") || strings.HasSuffix(r.Reason, ".") {
					t.Errorf("%v: hint %q: want one, and no full stop: they are put into sentences", r, r.Hint)
				}
			}
			slices.Reverse(inv.SAs)
			if diff := cmp.Diff(p.Refusals, plan.Compute(doc, inv).Refusals); diff != "" {
				t.Errorf("dumped the other way round:\n%s", diff)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("refused for %v, want %v\n%v", got, tc.want, p.Refusals)
			}
		})
	}
}
