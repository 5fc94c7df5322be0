package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// lookup is longest-prefix match written the slow way.
func lookup(maps []mapping, a netip.Addr) *mapping {
	var best *mapping
	for i := range maps {
		if m := &maps[i]; m.from.Contains(a) && (best == nil || m.from.Bits() > best.from.Bits()) {
			best = m
		}
	}
	return best
}

// TestCollisionsAreFoundIfAndOnlyIfTwoAddressesBecomeOne compares with trying every address of a small space.
func TestCollisionsAreFoundIfAndOnlyIfTwoAddressesBecomeOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var maps []mapping
		var froms, tos []netip.Prefix
		for i := range rapid.IntRange(1, 6).Draw(t, "entries") {
			bits := rapid.IntRange(26, 32).Draw(t, "bits")
			draw := func(net byte, label string) netip.Prefix {
				host := byte(rapid.IntRange(0, 63).Draw(t, label))
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, net, host}), bits).Masked()
			}
			m := mapping{from: draw(0, "from"), to: draw(1, "to"), fromNode: &yaml.Node{}, toNode: &yaml.Node{Line: i + 1}}
			if slices.Contains(froms, m.from) || slices.Contains(tos, m.to) {
				continue // refused by checkTwice
			}
			maps, froms, tos = append(maps, m), append(froms, m.from), append(tos, m.to)
		}
		became, want := map[netip.Addr]netip.Addr{}, false
		for host := range 64 {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(host)})
			if m := lookup(maps, a); m != nil {
				b := move(a, m.from, m.to)
				_, taken := became[b]
				want = want || taken
				became[b] = a
			}
		}
		l := &loader{name: "plan.yaml", bad: map[*yaml.Node]bool{}}
		l.checkCollisions(maps)
		if got := len(l.problems) > 0; got != want {
			t.Fatalf("collision found: %v, want %v; problems: %v", got, want, l.problems)
		}
		covered := 0
		for _, s := range segments(maps) {
			for a := s.low; !s.high.Less(a); a = a.Next() {
				covered++
				if m := lookup(maps, a); m != s.of {
					t.Fatalf("%v is in a segment of %v, want %v", a, s.of.from, m)
				}
			}
			if back := s.source(s.first()); back != s.low {
				t.Fatalf("source of %v = %v, want %v", s.first(), back, s.low)
			}
		}
		if covered != len(became) && !want {
			t.Fatalf("segments cover %d addresses, want %d", covered, len(became))
		}
	})
}

func TestHostMapsOf100000LoadInLinearTime(t *testing.T) {
	size := func(n int) []byte {
		var b strings.Builder
		b.WriteString(header + "renumber:\n")
		for i := range n {
			fmt.Fprintf(&b, "- {from: 10.%d.%d.%d, to: 172.%d.%d.%d}\n", i>>16, i>>8&255, i&255, 16+i>>16, i>>8&255, i&255)
		}
		return []byte(b.String())
	}
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	data := size(100_000)
	doc, err := Load("plan.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Renumber) != 100_000 {
		t.Errorf("%d entries", len(doc.Renumber))
	}
	small := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := Load("plan.yaml", data[:len(size(10_000))]); err != nil {
				b.Fatal(err)
			}
		}
	})
	big := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := Load("plan.yaml", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	// Ten times the entries; thirty leaves room for a busy machine and the collector, and n² would be a hundred.
	if factor := float64(big.NsPerOp()) / float64(small.NsPerOp()); factor > 30 {
		t.Errorf("ten times the entries took %.0f times as long (%v, %v)", factor, small, big)
	}
	t.Logf("10,000 entries: %v each, 100,000: %v", small, big)
}
