package ike

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func TestSucceeds(t *testing.T) {
	a := netip.MustParseAddr
	old := ChildSA{
		Connection: "site", Child: "lan", Up: true, Local: a("192.0.2.1"), Remote: a("203.0.113.1"), Proto: xfrm.ProtoESP, Mode: xfrm.ModeTunnel,
		In: 1, Out: 2, LocalTS: []string{"10.1.0.0/24", "fd01::/64"}, RemoteTS: []string{"10.2.0.0/24"},
	}
	next := old
	next.Local, next.In, next.Out = a("198.51.100.1"), 3, 4
	hosts := func(c ChildSA, local, remote string) ChildSA {
		c.Mode, c.LocalTS, c.RemoteTS = xfrm.ModeTransport, []string{local}, []string{remote}
		return c
	}
	for _, tt := range []struct {
		name     string
		old, now ChildSA
		want     bool
	}{
		{"as it should be", old, next, true},
		{"itself", old, with(next, func(c *ChildSA) { c.In, c.Out = 1, 2 }), false},
		{"not up yet", old, with(next, func(c *ChildSA) { c.Up = false }), false},
		{"narrowed", old, with(next, func(c *ChildSA) { c.LocalTS = []string{"10.1.0.0/24"} }), false},
		{"other traffic", old, with(next, func(c *ChildSA) { c.RemoteTS = []string{"10.3.0.0/24"} }), false},
		{"another interface", old, with(next, func(c *ChildSA) { c.IfIDIn, c.IfIDOut = 2, 2 }), false},
		{"at other addresses", old, with(next, func(c *ChildSA) { c.Remote = a("203.0.113.9") }), false},
		{"hosts", hosts(old, "192.0.2.1/32", "203.0.113.1/32"), hosts(next, "198.51.100.1/32", "203.0.113.1/32"), true},
		{"hosts that stayed", hosts(old, "192.0.2.1/32", "203.0.113.1/32"), hosts(next, "192.0.2.1/32", "203.0.113.1/32"), true},
		{"hosts with ports", hosts(old, "192.0.2.1/32[tcp/22]", "203.0.113.1/32"), hosts(next, "198.51.100.1/32[tcp/22]", "203.0.113.1/32"), true},
		{"hosts without prefix", hosts(old, "192.0.2.1", "203.0.113.1"), hosts(next, "198.51.100.1", "203.0.113.1"), true},
		{"other hosts", hosts(old, "192.0.2.1/32", "203.0.113.1/32"), hosts(next, "198.51.100.9/32", "203.0.113.1/32"), false},
	} {
		m := Move{Old: []ChildSA{tt.old}, OldLocal: old.Local, OldRemote: old.Remote, Local: next.Local, Remote: next.Remote}
		if got := m.Succeeds(&tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if (&Move{Local: next.Local, Remote: next.Remote}).Succeeds(&next) {
		t.Error("nothing is the successor of nothing")
	}
}

// TestNarrowed tells what the peer has made of the successor from what is another one's.
func TestNarrowed(t *testing.T) {
	a := netip.MustParseAddr
	old := ChildSA{
		Up: true, Local: a("192.0.2.1"), Remote: a("203.0.113.1"), Proto: xfrm.ProtoESP, Mode: xfrm.ModeTunnel, In: 1, Out: 2,
		LocalTS: []string{"10.1.0.0/16", "192.0.2.1/32"}, RemoteTS: []string{"10.2.0.0/24[tcp]", "fd02::/64"},
	}
	m := Move{Old: []ChildSA{old}, OldLocal: old.Local, OldRemote: old.Remote, Local: a("198.51.100.1"), Remote: old.Remote}
	now := func(local, remote string) ChildSA {
		return with(old, func(c *ChildSA) {
			c.Local, c.In, c.Out, c.LocalTS, c.RemoteTS = m.Local, 3, 4, strings.Fields(local), strings.Fields(remote)
		})
	}
	for _, tt := range []struct {
		name string
		now  ChildSA
		want bool
	}{
		{"a part", now("10.1.7.0/24", "fd02::/64"), true},
		{"one of two", now("10.1.0.0/16", "fd02::/64"), true},
		{"the host", now("198.51.100.1/32", "fd02::/64"), true},
		{"a port", now("10.1.0.0/16[tcp/22]", "fd02::/64"), true},
		{"the successor", now("10.1.0.0/16 198.51.100.1/32", "10.2.0.0/24[tcp] fd02::/64"), false},
		{"other traffic", now("10.9.0.0/16", "fd02::/64"), false},
		{"more", now("10.0.0.0/8", "fd02::/64"), false},
		{"more ports", now("10.1.0.0/16", "10.2.0.0/24"), false},
		{"what the daemon doesn't tell of", now("", ""), false},
		{"itself", with(now("10.1.7.0/24", "fd02::/64"), func(c *ChildSA) { c.In, c.Out = 1, 2 }), false},
	} {
		if got := m.narrowed(&tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func with(c ChildSA, change func(*ChildSA)) ChildSA {
	change(&c)
	return c
}
