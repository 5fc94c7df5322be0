package ike

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// saOf is an IKE SA with one Child SA, as list-sas tells of it. The second SPI is the first one reversed.
func saOf(conn, child, id, local, remote, initiator string, spi uint32) tree {
	return tree{{conn, tree{
		{"uniqueid", id}, {"state", "ESTABLISHED"}, {"local-host", local}, {"remote-host", remote}, {"initiator", initiator},
		{"child-sas", tree{{child + "-" + id, tree{
			{"name", child}, {"uniqueid", "1" + id}, {"reqid", "7"}, {"state", "INSTALLED"}, {"mode", "TUNNEL"}, {"protocol", "ESP"},
			{"spi-in", fmt.Sprintf("%08x", spi)}, {"spi-out", fmt.Sprintf("%08x", ^spi)}, {"if-id-in", "0000002a"},
			{"local-ts", []string{"fd01::/64", "10.1.0.0/24"}}, {"remote-ts", []string{"10.2.0.0/24"}},
		}}}},
	}}}
}

func connOf(conn, child, local, remote string, ts ...string) tree {
	if ts == nil {
		ts = []string{"10.1.0.0/24", "fd01::/64"}
	}
	return tree{{conn, tree{
		{"local_addrs", []string{local}}, {"remote_addrs", []string{remote}},
		{"children", tree{{child, tree{{"mode", "TUNNEL"}, {"local-ts", ts}, {"remote-ts", []string{"10.2.0.0/24"}}}}}},
	}}}
}

var (
	oldSA   = saOf("site", "lan", "1", "192.0.2.1", "203.0.113.1", "yes", 0xc0000001)
	newSA   = saOf("site-b", "lan", "2", "198.51.100.1", "203.0.113.1", "yes", 0xc0000002)
	oldConn = connOf("site", "lan", "192.0.2.1", "203.0.113.1")
	newConn = connOf("site-b", "lan", "198.51.100.1", "203.0.113.1")
	ok      = tree{{"success", "yes"}}
)

func failure(why string) tree { return tree{{"success", "no"}, {"errmsg", why}} }

// playing is a charon that lists what it is given.
func playing(t *testing.T, sas func() []tree, conns []tree, others func(string, tree) reply) (*charon, *VICI) {
	t.Helper()
	c := startCharon(t, func(command string, args tree) reply {
		switch command {
		case "list-sas":
			return reply{event: "list-sa", events: sas()}
		case "list-conns":
			return reply{event: "list-conn", events: conns}
		}
		return others(command, args)
	})
	return c, NewVICI(c.socket)
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func moveOf(t *testing.T, v *VICI) *Move {
	t.Helper()
	all, err := v.ChildSAs(within(t, 5*time.Second))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return &Move{Group: "g", Old: all[:1], Local: netip.MustParseAddr("198.51.100.1"), Remote: netip.MustParseAddr("203.0.113.1")}
}

func TestChildSAsAreReadAsCharonTellsThem(t *testing.T) {
	_, v := playing(t, func() []tree { return []tree{oldSA} }, nil, nil)
	got, err := v.ChildSAs(within(t, 5*time.Second))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	want := ChildSA{
		Connection: "site", Child: "lan", ID: "11", IKE: "1", Initiator: true, Up: true,
		Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Proto: xfrm.ProtoESP, Mode: xfrm.ModeTunnel,
		In: 0xc0000001, Out: 0x3ffffffe, Reqid: 7, IfIDIn: 42, LocalTS: []string{"10.1.0.0/24", "fd01::/64"}, RemoteTS: []string{"10.2.0.0/24"},
	}
	if fmt.Sprint(got[0]) != fmt.Sprint(want) || !slices.Equal(got[0].LocalTS, want.LocalTS) || got[0].IfIDIn != 42 || got[0].IKE != "1" || !got[0].Initiator {
		t.Errorf("%+v\nwant %+v", got[0], want)
	}
}

// TestNoneOfManySAsIsMissing has more events than the library buffers for its streaming call, in one piece with the answer: an owner that gets
// lost would let a plan through that has to be refused.
func TestNoneOfManySAsIsMissing(t *testing.T) {
	const n = 3000
	var sas []tree
	for i := range uint32(n) {
		sas = append(sas, saOf("site", "lan", fmt.Sprint(i), "192.0.2.1", "203.0.113.1", "no", 0xc0000000+i))
	}
	_, v := playing(t, func() []tree { return sas }, nil, nil)
	got, err := v.ChildSAs(within(t, 20*time.Second))
	if err != nil || len(got) != n {
		t.Errorf("%d of %d, %v", len(got), n, err)
	}
}

// TestCharonThatMisbehaves has the ways in which an answer fails to come.
func TestCharonThatMisbehaves(t *testing.T) {
	huge := append(binary.BigEndian.AppendUint32(nil, 3), 9, 9, 9)
	for _, tt := range []struct {
		name  string
		reply reply
		want  string
	}{
		{"it hangs", reply{hang: true}, "did not answer in time"},
		{"it dies", reply{drop: true}, "list-sas"},
		{"it refuses", reply{answer: failure("not today")}, "not today"},
		{"it talks nonsense", reply{raw: huge}, "list-sas"},
		{"an address is none", reply{event: "list-sa", events: []tree{saOf("site", "lan", "1", "nowhere", "203.0.113.1", "yes", 1)}}, "nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startCharon(t, func(string, tree) reply { return tt.reply })
			begun := time.Now()
			got, err := NewVICI(c.socket).ChildSAs(within(t, 300*time.Millisecond))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), c.socket) {
				t.Errorf("%v, %v; want an error with %q and the socket", got, err, tt.want)
			}
			if errors.Is(err, ErrAbsent) {
				t.Error("it counts as absent: what it owns would be moved")
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if _, err := NewVICI(filepath.Join(t.TempDir(), "none")).ChildSAs(within(t, time.Second)); !errors.Is(err, ErrAbsent) {
		t.Errorf("without a socket: %v", err)
	}
}

func TestSuccessorIsFoundByAddressesAndTraffic(t *testing.T) {
	for _, tt := range []struct {
		name  string
		conns []tree
		lost  bool
		want  string // connection/child, or what the error says
	}{
		{"the one at the new addresses", []tree{oldConn, newConn}, false, "site-b/lan"},
		{"none", []tree{oldConn}, false, "local_addrs = 198.51.100.1"},
		{"another net's", []tree{oldConn, connOf("x", "lan", "198.51.100.1", "203.0.113.1", "10.9.0.0/24")}, false, "no connection"},
		{"one that takes any address is second choice", []tree{connOf("any", "lan", "%any", "203.0.113.1"), oldConn, newConn}, false, "site-b/lan"},
		{"one that takes any address", []tree{connOf("any", "lan", "%any", "203.0.113.1"), oldConn}, false, "any/lan"},
		{"a prefix", []tree{oldConn, connOf("p", "lan", "198.51.100.0/24", "203.0.113.1")}, false, "p/lan"},
		{"the child's name tells", []tree{oldConn, newConn, connOf("y", "other", "198.51.100.1", "203.0.113.1")}, false, "site-b/lan"},
		{"nothing tells", []tree{oldConn, newConn, connOf("y", "lan", "198.51.100.1", "203.0.113.1")}, false, "nothing tells which"},
		{"the old one takes both addresses", []tree{connOf("site", "lan", "%any", "203.0.113.1")}, false, "no connection"},
		{"the old one takes both addresses and an SA is lost", []tree{connOf("site", "lan", "%any", "203.0.113.1")}, true, "site/lan"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, v := playing(t, func() []tree { return []tree{oldSA} }, tt.conns, nil)
			m := moveOf(t, v)
			m.Lost = tt.lost
			c, err := v.successor(within(t, 5*time.Second), m)
			got := fmt.Sprint(err)
			if err == nil {
				got = c.connection + "/" + c.child
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestEstablish(t *testing.T) {
	peers := saOf("site", "lan", "1", "192.0.2.1", "203.0.113.1", "no", 0xc0000001)
	for _, tt := range []struct {
		name     string
		before   tree // what there is beside the successor, if that is up
		there    bool // the successor is up from the start
		comes    bool // ... or by the time of the third question, without having been asked for
		initiate func() reply
		lost     bool
		want     string // the error, empty for none
		commands []string
	}{
		{name: "it is brought up", before: oldSA, initiate: func() reply { return reply{answer: ok} }, commands: []string{"initiate ike=site-b child=lan"}},
		{name: "it is there already", before: oldSA, there: true},
		{name: "the peer does it", before: peers, comes: true},
		{name: "the peer does nothing", before: peers, initiate: func() reply { return reply{answer: ok} }, commands: []string{"initiate ike=site-b child=lan"}},
		{name: "nobody waits for the peer when an SA is lost", before: peers, lost: true, initiate: func() reply { return reply{answer: ok} },
			commands: []string{"initiate ike=site-b child=lan"}},
		{name: "the peer does not answer", before: oldSA, initiate: func() reply { return reply{answer: failure("CHILD_SA 'lan' not established after 2s")} },
			want: "swanctl --initiate --ike site-b --child lan", commands: []string{"initiate ike=site-b child=lan"}},
		{name: "the daemon dies on it", before: oldSA, initiate: func() reply { return reply{drop: true} }, want: "asked to initiate",
			commands: []string{"initiate ike=site-b child=lan"}},
		{name: "the daemon hangs", before: oldSA, initiate: func() reply { return reply{hang: true} }, want: "did not answer in time",
			commands: []string{"initiate ike=site-b child=lan"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			var asked atomic.Int32
			up.Store(tt.there)
			c, v := playing(t, func() []tree {
				if up.Load() || tt.comes && asked.Add(1) > 3 {
					return []tree{tt.before, newSA}
				}
				return []tree{tt.before}
			}, []tree{oldConn, newConn}, func(command string, _ tree) reply {
				if command != "initiate" || tt.initiate == nil {
					return reply{answer: ok}
				}
				r := tt.initiate()
				up.Store(len(r.answer) == 1)
				return r
			})
			m := moveOf(t, v)
			m.Lost = tt.lost
			got, err := v.Establish(within(t, 3*time.Second), m)
			if tt.want == "" && (err != nil || got.In != 0xc0000002) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, %v; want %q", got.String(), err, tt.want)
			}
			if !slices.Equal(c.commands(), tt.commands) {
				t.Errorf("it was told %q, want %q", c.commands(), tt.commands)
			}
		})
	}
}

// TestFailedAttemptIsWithdrawn: charon goes on trying after it has said that it failed, and keeps an IKE SA whose Child SA the peer has refused. What was there
// before, and what belongs to other peers of the same connection, is left.
func TestFailedAttemptIsWithdrawn(t *testing.T) {
	ikeSA := func(id, state, local, remote, initiator string) tree {
		return tree{{"site-b", tree{{"uniqueid", id}, {"state", state}, {"local-host", local}, {"remote-host", remote}, {"initiator", initiator}, {"child-sas", tree{}}}}}
	}
	const here, there = "198.51.100.1", "203.0.113.1"
	for _, tt := range []struct {
		name          string
		before, after tree
		terminated    bool
	}{
		{"it goes on", nil, ikeSA("9", "CONNECTING", here, there, "yes"), true},
		{"it went on before", ikeSA("9", "CONNECTING", here, there, "yes"), ikeSA("9", "CONNECTING", here, there, "yes"), true},
		{"it goes on from where charon will see", nil, ikeSA("9", "CONNECTING", "%any", there, "yes"), true},
		{"another peer's attempt", nil, ikeSA("9", "CONNECTING", here, "203.0.113.99", "no"), false},
		{"an attempt from another address", nil, ikeSA("9", "CONNECTING", "192.0.2.1", there, "yes"), false},
		{"the IKE SA is up without a Child SA", nil, ikeSA("9", "ESTABLISHED", here, there, "yes"), true},
		{"it was before", ikeSA("9", "ESTABLISHED", here, there, "yes"), ikeSA("9", "ESTABLISHED", here, there, "yes"), false},
		{"the peer's is", nil, ikeSA("9", "ESTABLISHED", here, there, "no"), false},
		{"it has another Child SA", nil, saOf("site-b", "voice", "9", here, there, "yes", 0xc0000009), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tried atomic.Bool
			c, v := playing(t, func() []tree {
				more := tt.before
				if tried.Load() {
					more = tt.after
				}
				return slices.DeleteFunc([]tree{oldSA, more}, func(t tree) bool { return t == nil })
			}, []tree{oldConn, newConn}, func(command string, _ tree) reply {
				if command == "initiate" {
					tried.Store(true)
					return reply{answer: failure("timeout")}
				}
				return reply{answer: ok}
			})
			if got, err := v.Establish(within(t, 3*time.Second), moveOf(t, v)); err == nil {
				t.Error(got)
			}
			want := []string{"initiate ike=site-b child=lan"}
			if tt.terminated {
				want = append(want, "terminate ike-id=9 force=yes")
			}
			if !slices.Equal(c.commands(), want) {
				t.Errorf("it was told %q, want %q", c.commands(), want)
			}
		})
	}
}

// TestSuccessorUnlikeTheOldOne came up with other traffic selectors or on another interface: that is said at once, and the old one stays.
func TestSuccessorUnlikeTheOldOne(t *testing.T) {
	change := func(key string, value any) tree {
		sa := saOf("site-b", "lan", "2", "198.51.100.1", "203.0.113.1", "yes", 0xc0000002)
		child := sa[0].value.(tree)[5].value.(tree)[0].value.(tree)
		at := slices.IndexFunc(child, func(p pair) bool { return p.key == key })
		child[at].value = value
		return sa
	}
	peers := saOf("site", "lan", "1", "192.0.2.1", "203.0.113.1", "no", 0xc0000001)
	for _, tt := range []struct {
		name        string
		before, now tree
		there       bool // from the start: the peer has initiated it
		told        bool
		says        []string
	}{
		{"the peer has narrowed it", oldSA, change("local-ts", []string{"10.1.0.0/24"}), false, true,
			[]string{"site-b/lan", "10.1.0.0/24 === 10.2.0.0/24 and not with 10.1.0.0/24 fd01::/64 === 10.2.0.0/24", "swanctl --terminate --child-id 12"}},
		{"the peer has initiated less", peers, change("local-ts", []string{"fd01::/64"}), true, false, []string{"fd01::/64 === 10.2.0.0/24 and not", "--child-id 12"}},
		{"another interface", oldSA, change("if-id-in", "00000007"), false, true, []string{"if_id 7 in and 0 out and not with 42 and 0"}},
		{"another mode", oldSA, change("mode", "TRANSPORT"), false, true, []string{"in transport mode and not in tunnel mode"}},
		{"it was there before and is another's", oldSA, change("local-ts", []string{"10.9.0.0/24"}), true, true, []string{"does not list it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			up.Store(tt.there)
			c, v := playing(t, func() []tree {
				if up.Load() {
					return []tree{tt.before, tt.now}
				}
				return []tree{tt.before}
			}, []tree{oldConn, newConn}, func(string, tree) reply {
				up.Store(true)
				return reply{answer: ok}
			})
			begun := time.Now()
			got, err := v.Establish(within(t, 20*time.Second), moveOf(t, v))
			if err == nil {
				t.Fatal(got)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%v; want %q in it", err, s)
				}
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			var want []string
			if tt.told {
				want = []string{"initiate ike=site-b child=lan"}
			}
			if !slices.Equal(c.commands(), want) {
				t.Errorf("it was told %q, want %q", c.commands(), want)
			}
		})
	}
}

// twoIn is an IKE SA with two Child SAs: that of oldSA and voice.
var twoIn = tree{{"site", tree{
	{"uniqueid", "1"}, {"state", "ESTABLISHED"}, {"local-host", "192.0.2.1"}, {"remote-host", "203.0.113.1"},
	{"child-sas", append(slices.Clone(oldSA[0].value.(tree)[5].value.(tree)), pair{"voice-3", tree{
		{"name", "voice"}, {"uniqueid", "13"}, {"state", "INSTALLED"}, {"mode", "TUNNEL"}, {"protocol", "ESP"}, {"spi-in", "c0000003"}, {"spi-out", "c0000004"},
	}})},
}}}

var (
	retiredLan   = []ChildSA{{IKE: "1", ID: "11", In: 0xc0000001, Out: 0x3ffffffe, Proto: xfrm.ProtoESP}}
	retiredVoice = []ChildSA{{IKE: "1", ID: "13", In: 0xc0000003, Out: 0xc0000004, Proto: xfrm.ProtoESP}}
)

// TestRetireWithoutAPeer has two Child SAs of an IKE SA go, one after the other, and nobody who answers at the old addresses: the last one takes the IKE SA along.
func TestRetireWithoutAPeer(t *testing.T) {
	c, v := playing(t, func() []tree { return []tree{twoIn, newSA} }, nil, func(_ string, args tree) reply {
		if slices.ContainsFunc(args, func(p pair) bool { return p.key == "force" }) {
			return reply{answer: ok}
		}
		return reply{answer: append(failure("terminating SA failed"), pair{"matches", "1"}, pair{"terminated", "0"})}
	})
	for _, old := range [][]ChildSA{retiredLan, retiredVoice} {
		if err := v.Retire(within(t, 3*time.Second), old); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"terminate child-id=11", "terminate ike-id=1 force=yes"}; !slices.Equal(c.commands(), want) {
		t.Errorf("it was told %q, want %q", c.commands(), want)
	}
}

// TestRetireDoesNotWaitForThePeer tells charon to wait for a few seconds at most, however much time there is.
func TestRetireDoesNotWaitForThePeer(t *testing.T) {
	var patience atomic.Int64
	_, v := playing(t, func() []tree { return []tree{twoIn, newSA} }, nil, func(_ string, args tree) reply {
		for _, p := range args {
			if p.key == "timeout" {
				ms, _ := strconv.ParseInt(p.value.(string), 10, 64)
				patience.Store(ms)
			}
		}
		return reply{answer: ok}
	})
	if err := v.Retire(within(t, time.Minute), retiredLan); err != nil {
		t.Error(err)
	}
	if ms := patience.Load(); ms <= 0 || ms > peerLimit.Milliseconds() {
		t.Errorf("charon may wait %d ms", ms)
	}
}

// TestRetireByACharonThatMisbehaves: what counts is whether the Child SA is gone.
func TestRetireByACharonThatMisbehaves(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sa    tree
		reply reply
		gone  bool
		want  string
	}{
		{"it hangs", oldSA, reply{hang: true}, false, "did not answer in time"},
		{"it hangs on one of several", twoIn, reply{hang: true}, false, "--terminate --child-id 11"},
		{"it dies", oldSA, reply{drop: true}, false, "asked to terminate"},
		{"it hangs when it is done", oldSA, reply{hang: true}, true, ""},
		{"it dies when it is done", twoIn, reply{drop: true}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var gone atomic.Bool
			_, v := playing(t, func() []tree {
				if gone.Load() {
					return []tree{newSA}
				}
				return []tree{tt.sa, newSA}
			}, nil, func(string, tree) reply {
				gone.Store(tt.gone)
				return tt.reply
			})
			begun := time.Now()
			err := v.Retire(within(t, time.Second), retiredLan)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestRetire(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sas      []tree
		answer   tree
		commands []string
		want     string
	}{
		{name: "the IKE SA that has no other", sas: []tree{oldSA, newSA}, answer: ok, commands: []string{"terminate ike-id=1 force=yes"}},
		{name: "the Child SA of an IKE SA with others", sas: []tree{twoIn, newSA}, answer: ok, commands: []string{"terminate child-id=11"}},
		{name: "what is gone", sas: []tree{newSA}},
		{name: "what goes meanwhile", sas: []tree{oldSA}, answer: append(failure("no matching SAs to terminate found"), pair{"matches", "0"}),
			commands: []string{"terminate ike-id=1 force=yes"}},
		{name: "what won't go", sas: []tree{oldSA}, answer: append(failure("no"), pair{"matches", "1"}), commands: []string{"terminate ike-id=1 force=yes"},
			want: "swanctl --terminate --ike-id 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, v := playing(t, func() []tree { return tt.sas }, nil, func(string, tree) reply { return reply{answer: tt.answer} })
			err := v.Retire(within(t, 3*time.Second), retiredLan)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if !slices.Equal(c.commands(), tt.commands) {
				t.Errorf("it was told %q, want %q", c.commands(), tt.commands)
			}
		})
	}
}
