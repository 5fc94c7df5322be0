package topo

import (
	"strings"
	"testing"
)

// state is what iproute2 6.15 printed, with another key.
const state = `src 192.0.2.1 dst 203.0.113.1
	proto esp spi 0xc283b2eb(3263410923) reqid 1(0x00000001) mode tunnel
	replay-window 0 seq 0x00000000 flag af-unspec (0x00100000)
	aead rfc4106(gcm(aes)) 0x000102 (24 bits) 128
	lastused 2026-11-23 20:51:13
	anti-replay context: seq 0x0, oseq 0xa, bitmap 0x00000000
	dir out
	lifetime config:
	  limit: soft (INF)(bytes), hard (INF)(bytes)
	  expire add: soft 83278(sec), hard 95040(sec)
	lifetime current:
	  940(bytes), 10(packets)
	  add 2026-11-23 20:51:12 use 2026-11-23 20:51:13
	stats:
	  replay-window 0 replay 0 failed 0
`

func TestParseSA(t *testing.T) {
	sa, err := parseSA(blocks(state)[0])
	if err != nil {
		t.Fatal(err)
	}
	if sa.SPI != 0xc283b2eb || sa.OSeq != 10 || sa.Seq != 0 || sa.Bytes != 940 || sa.Packets != 10 || sa.Added != "2026-11-23 20:51:12" {
		t.Errorf("got %+v", sa)
	}
	if sa.Src != LeftISPA || sa.Dst != RightISP {
		t.Errorf("got %v > %v", sa.Src, sa.Dst)
	}
	for _, want := range []string{"reqid 1", "replay-window 0 seq", "dir out", "expire add: soft 83278(sec)"} {
		if !strings.Contains(sa.Fixed, want) {
			t.Errorf("Fixed lacks %q:\n%s", want, sa.Fixed)
		}
	}
	if strings.Contains(sa.Fixed, "000102") || strings.Contains(sa.Fixed, "lastused") {
		t.Errorf("Fixed holds the key or what changes:\n%s", sa.Fixed)
	}
	other, err := parseSA(blocks(strings.Replace(state, "0x000102", "0x000103", 1))[0])
	if err != nil || other.Keys == sa.Keys {
		t.Errorf("another key has the same digest (%v)", err)
	}
}

func TestParsePolicy(t *testing.T) {
	const out = `src fd01::/64 dst fd02::/64 uid 7
	dir out action block index 105 priority 334463 ptype main share any flag  (0x00000000)
	tmpl src 192.0.2.1 dst 203.0.113.1
		proto esp spi 0xc283b2eb(3263410923) reqid 1(0x00000001) mode tunnel
src ::/0 dst ::/0 uid 0
	socket in action allow index 59 priority 0 ptype main share any flag  (0x00000000)
`
	all := blocks(out)
	if len(all) != 2 {
		t.Fatalf("%d blocks, want 2", len(all))
	}
	got, err := parsePolicy(all[0])
	want := Policy{"src fd01::/64 dst fd02::/64", 7, "out", "block", 105, 334463, "192.0.2.1 > 203.0.113.1"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
