package xfrm

import "net/netip"

// sampleSA is a NEWSA message's payload like that of an IKE daemon's tunnel SA, attributes in the kernel's order.
func sampleSA() []byte {
	b := saPayload(0xc6f8e81d)
	b = appendAttr(b, AttrLastUsed, b64(1700000000))
	b = appendAttr(b, AttrAlgAEAD, append(append([]byte("rfc4106(gcm(aes))"), make([]byte, 64-17)...), make([]byte, 8+36)...))
	b = appendAttr(b, AttrEncap, append(append(b16(EncapESPinUDP), n16(4500)...), append(n16(4500), make([]byte, 18)...)...))
	b = appendMark(b, Mark{0x10, 0xff})
	b = appendAttr32(b, AttrSetMark, 0x20)
	b = appendAttr32(b, AttrSetMarkMask, 0xff)
	b = appendAttr(b, AttrReplayESN, append(make([]byte, 20), append(b32(32), b32(0xffffffff)...)...))
	b = appendAttr32(b, AttrIfID, 7)
	b = appendAttr32(b, AttrPCPU, 1)
	return appendAttr(b, AttrSADir, []byte{2})
}

// samplePolicy is a NEWPOLICY message's payload like that of an IKE daemon's outbound policy.
func samplePolicy() []byte {
	p := Policy{
		Sel:    SelectorFor(netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")),
		Limits: NoLimits, Priority: 371327, Index: 1 | 1<<3, Dir: DirOut, Mark: Mark{0x10, 0xff}, IfID: 7, hasType: true,
		Templates: []Template{{
			Dst: AddressFrom(netip.MustParseAddr("203.0.113.1")), Src: AddressFrom(netip.MustParseAddr("192.0.2.1")),
			Proto: ProtoESP, SPI: 0xc6f8e81d, Family: FamilyIPv4, Reqid: 1, Mode: ModeTunnel,
			AAlgos: ^uint32(0), EAlgos: ^uint32(0), CAlgos: ^uint32(0),
		}},
	}
	return p.AppendTo(nil)
}

// sampleMigration has every attribute.
func sampleMigration() *Migration {
	keepalive, mtimer := uint32(20), uint32(30)
	return &Migration{
		ID:     SAID{Dst: AddressFrom(netip.MustParseAddr("203.0.113.1")), SPI: 0xc6f8e81d, Family: FamilyIPv4, Proto: ProtoESP},
		NewDst: AddressFrom(netip.MustParseAddr("2001:db8::1")), NewSrc: AddressFrom(netip.MustParseAddr("2001:db8::2")),
		OldMark: Mark{0x10, 0xff}, NewReqid: 1, Flags: ClearOffload, NewFamily: FamilyIPv6,
		Mark: &Mark{0x11, 0xff}, Encap: &Encap{Type: EncapESPinUDP, SPort: 4500, DPort: 4501}, Offload: &Offload{IfIndex: 2},
		OutputMark: &Mark{0x20, 0xff}, NATKeepalive: &keepalive, MTimer: &mtimer,
	}
}
