package topo

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Packet is an IP packet on the wire.
type Packet struct {
	At       time.Time
	Src, Dst netip.Addr
	Proto    uint8
	Payload  []byte // after the IP header
}

// protoESP is ESP's IP protocol number.
const protoESP = 50

// ESP is what every observer sees of an ESP packet (RFC 4303 section 2, with AES-GCM's explicit IV of RFC 4106).
type ESP struct {
	SPI, Seq uint32
	IV       [8]byte
}

// ESP returns the head of an ESP packet.
func (p *Packet) ESP() (e ESP, ok bool) {
	if p.Proto != protoESP || len(p.Payload) < 16 {
		return e, false
	}
	e.SPI = binary.BigEndian.Uint32(p.Payload)
	e.Seq = binary.BigEndian.Uint32(p.Payload[4:])
	copy(e.IV[:], p.Payload[8:])
	return e, true
}

// Inner reports whether the packet has an address of the networks behind the gateways: it should have been encrypted.
func (p *Packet) Inner() bool {
	for _, net := range inner {
		if net.Contains(p.Src) || net.Contains(p.Dst) {
			return true
		}
	}
	return false
}

// readPcap reads a capture of Ethernet frames as tcpdump writes it on this machine, and returns the IP packets in it.
func readPcap(b []byte) (packets []Packet, err error) {
	const (
		magic        = 0xa1b2c3d4 // microseconds
		linkEthernet = 1
		fileHeader   = 24
		recordHeader = 16
	)
	if len(b) < fileHeader || binary.NativeEndian.Uint32(b) != magic || binary.NativeEndian.Uint32(b[20:]) != linkEthernet {
		return nil, errors.New("not a capture of Ethernet frames with microseconds")
	}
	for b = b[fileHeader:]; len(b) > 0; {
		if len(b) < recordHeader {
			return nil, errors.New("the capture ends inside a record")
		}
		at := time.Unix(int64(binary.NativeEndian.Uint32(b)), 1000*int64(binary.NativeEndian.Uint32(b[4:])))
		size := int(binary.NativeEndian.Uint32(b[8:]))
		if b = b[recordHeader:]; size > len(b) {
			return nil, errors.New("the capture ends inside a packet")
		}
		if p, ok := readFrame(b[:size]); ok {
			p.At = at
			packets = append(packets, p)
		}
		b = b[size:]
	}
	return packets, nil
}

// readFrame reads an Ethernet frame; it is not ok if there is no IP packet in it.
func readFrame(b []byte) (p Packet, ok bool) {
	const ethernetHeader, ipv4Header, ipv6Header = 14, 20, 40
	if len(b) < ethernetHeader {
		return p, false
	}
	etherType, ip := binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:]
	switch {
	case etherType == 0x0800 && len(ip) >= ipv4Header && len(ip) >= 4*int(ip[0]&15):
		p.Src, p.Dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		p.Proto, p.Payload = ip[9], ip[4*int(ip[0]&15):]
	case etherType == 0x86dd && len(ip) >= ipv6Header:
		p.Src, p.Dst = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
		p.Proto, p.Payload = ip[6], ip[ipv6Header:]
	default:
		return p, false
	}
	return p, true
}
