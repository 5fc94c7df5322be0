package topo

import (
	"encoding/hex"
	"testing"
)

// TestReadFrame reads frames that `tcpdump -xx` showed, cut off after ESP's IV.
func TestReadFrame(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		src, dst    string
		inner, esp  bool
		spi, seq    uint32
	}{
		{
			name: "ESP in IPv4",
			frame: "020000000001020000000002" + "0800" + "45000088000040004032" + "0000" + "c0000201" + "cb007101" +
				"c283b2eb" + "0000000a" + "0102030405060708",
			src: "192.0.2.1", dst: "203.0.113.1", esp: true, spi: 0xc283b2eb, seq: 10,
		},
		{
			name: "ESP in IPv6",
			frame: "020000000001020000000002" + "86dd" + "6000000000103240" + "20010db8002000000000000000000001" +
				"20010db8003000000000000000000001" + "c283b2eb" + "0000000b" + "0102030405060708",
			src: "2001:db8:20::1", dst: "2001:db8:30::1", esp: true, spi: 0xc283b2eb, seq: 11,
		},
		{
			name: "cleartext",
			frame: "020000000001020000000002" + "0800" + "4500001c00004000" + "4001" + "0000" + "0a01000a" + "0a02000a" +
				"0800000000000000",
			src: "10.1.0.10", dst: "10.2.0.10", inner: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			p, ok := readFrame(b)
			if !ok || p.Src.String() != tt.src || p.Dst.String() != tt.dst || p.Inner() != tt.inner {
				t.Fatalf("got %v > %v, inner %v, ok %v", p.Src, p.Dst, p.Inner(), ok)
			}
			e, ok := p.ESP()
			if ok != tt.esp || e.SPI != tt.spi || e.Seq != tt.seq {
				t.Errorf("ESP %08x %d, %v; want %08x %d, %v", e.SPI, e.Seq, ok, tt.spi, tt.seq, tt.esp)
			}
		})
	}
}

func TestReadFrameTakesNoOtherProtocol(t *testing.T) {
	arp, _ := hex.DecodeString("ffffffffffff020000000002" + "0806" + "0001080006040001")
	if p, ok := readFrame(arp); ok {
		t.Errorf("an ARP frame was read as %+v", p)
	}
}
