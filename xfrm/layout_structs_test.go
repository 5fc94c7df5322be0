package xfrm

import "testing"

func TestStructsAreTheHeaders(t *testing.T) {
	l := readLayout(t)

	checkLayout(t, l, "nlmsghdr", sizeofHeader, encodeHeader, decodeHeader, []member[Message]{
		{"nlmsg_len", nil, nil}, // always the message's length
		{"nlmsg_type", func(m *Message) { m.Type = 0x1234 }, b16(0x1234)},
		{"nlmsg_flags", func(m *Message) { m.Flags = 0x1234 }, b16(0x1234)},
		{"nlmsg_seq", func(m *Message) { m.Seq = 0x12345678 }, b32(0x12345678)},
		{"nlmsg_pid", nil, nil},
	})
	checkLayout(t, l, "xfrm_selector", sizeofSelector,
		func(s *Selector) []byte { return s.appendTo(nil) },
		func(b []byte) (s Selector) { s.decode(b); return s },
		[]member[Selector]{
			{"daddr", func(s *Selector) { s.Dst = addr }, addr[:]},
			{"saddr", func(s *Selector) { s.Src = addr }, addr[:]},
			{"dport", func(s *Selector) { s.DPort = 0x1234 }, n16(0x1234)},
			{"dport_mask", func(s *Selector) { s.DPortMask = 0x1234 }, n16(0x1234)},
			{"sport", func(s *Selector) { s.SPort = 0x1234 }, n16(0x1234)},
			{"sport_mask", func(s *Selector) { s.SPortMask = 0x1234 }, n16(0x1234)},
			{"family", func(s *Selector) { s.Family = 0x1234 }, b16(0x1234)},
			{"prefixlen_d", func(s *Selector) { s.DstLen = 0x12 }, []byte{0x12}},
			{"prefixlen_s", func(s *Selector) { s.SrcLen = 0x12 }, []byte{0x12}},
			{"proto", func(s *Selector) { s.Proto = 0x12 }, []byte{0x12}},
			{"ifindex", func(s *Selector) { s.IfIndex = -2 }, b32(0xfffffffe)},
			{"user", func(s *Selector) { s.User = 0x12345678 }, b32(0x12345678)},
		})
	checkLayout(t, l, "xfrm_lifetime_cfg", sizeofLifetimeCfg,
		func(v *LifetimeLimits) []byte { return v.appendTo(nil) },
		func(b []byte) (v LifetimeLimits) { v.decode(b); return v },
		[]member[LifetimeLimits]{
			{"soft_byte_limit", func(v *LifetimeLimits) { v.SoftBytes = 1 << 40 }, b64(1 << 40)},
			{"hard_byte_limit", func(v *LifetimeLimits) { v.HardBytes = 1 << 40 }, b64(1 << 40)},
			{"soft_packet_limit", func(v *LifetimeLimits) { v.SoftPackets = 1 << 40 }, b64(1 << 40)},
			{"hard_packet_limit", func(v *LifetimeLimits) { v.HardPackets = 1 << 40 }, b64(1 << 40)},
			{"soft_add_expires_seconds", func(v *LifetimeLimits) { v.SoftAdd = 1 << 40 }, b64(1 << 40)},
			{"hard_add_expires_seconds", func(v *LifetimeLimits) { v.HardAdd = 1 << 40 }, b64(1 << 40)},
			{"soft_use_expires_seconds", func(v *LifetimeLimits) { v.SoftUse = 1 << 40 }, b64(1 << 40)},
			{"hard_use_expires_seconds", func(v *LifetimeLimits) { v.HardUse = 1 << 40 }, b64(1 << 40)},
		})
	checkLayout(t, l, "xfrm_lifetime_cur", sizeofLifetimeCur,
		func(v *Lifetime) []byte { return v.appendTo(nil) },
		func(b []byte) (v Lifetime) { v.decode(b); return v },
		[]member[Lifetime]{
			{"bytes", func(v *Lifetime) { v.Bytes = 1 << 40 }, b64(1 << 40)},
			{"packets", func(v *Lifetime) { v.Packets = 1 << 40 }, b64(1 << 40)},
			{"add_time", func(v *Lifetime) { v.AddTime = 1 << 40 }, b64(1 << 40)},
			{"use_time", func(v *Lifetime) { v.UseTime = 1 << 40 }, b64(1 << 40)},
		})
	checkLayout(t, l, "xfrm_user_tmpl", sizeofTmpl,
		func(v *Template) []byte { return v.appendTo(nil) },
		func(b []byte) (v Template) { v.decode(b); return v },
		[]member[Template]{
			{"id.daddr", func(v *Template) { v.Dst = addr }, addr[:]},
			{"id.spi", func(v *Template) { v.SPI = 0x12345678 }, n32(0x12345678)},
			{"id.proto", func(v *Template) { v.Proto = ProtoESP }, []byte{50}},
			{"family", func(v *Template) { v.Family = 0x1234 }, b16(0x1234)},
			{"saddr", func(v *Template) { v.Src = addr }, addr[:]},
			{"reqid", func(v *Template) { v.Reqid = 0x12345678 }, b32(0x12345678)},
			{"mode", func(v *Template) { v.Mode = ModeBEET }, []byte{4}},
			{"share", func(v *Template) { v.Share = 0x12 }, []byte{0x12}},
			{"optional", func(v *Template) { v.Optional = 0x12 }, []byte{0x12}},
			{"aalgos", func(v *Template) { v.AAlgos = 0x12345678 }, b32(0x12345678)},
			{"ealgos", func(v *Template) { v.EAlgos = 0x12345678 }, b32(0x12345678)},
			{"calgos", func(v *Template) { v.CAlgos = 0x12345678 }, b32(0x12345678)},
		})
	checkLayout(t, l, "xfrm_userpolicy_info", sizeofPolicyInfo,
		func(v *Policy) []byte { return v.AppendTo(nil) },
		func(b []byte) (v Policy) { v.decodeInfo(b); return v },
		[]member[Policy]{
			{"sel", func(v *Policy) { v.Sel = sel }, sel.appendTo(nil)},
			{"lft", func(v *Policy) { v.Limits = limits }, limits.appendTo(nil)},
			{"curlft", func(v *Policy) { v.Current = current }, current.appendTo(nil)},
			{"priority", func(v *Policy) { v.Priority = 0x12345678 }, b32(0x12345678)},
			{"index", func(v *Policy) { v.Index = 0x12345678 }, b32(0x12345678)},
			{"dir", func(v *Policy) { v.Dir = DirFwd }, []byte{2}},
			{"action", func(v *Policy) { v.Action = Block }, []byte{1}},
			{"flags", func(v *Policy) { v.Flags = 0x12 }, []byte{0x12}},
			{"share", func(v *Policy) { v.Share = 0x12 }, []byte{0x12}},
		})
	checkLayout(t, l, "xfrm_userpolicy_id", sizeofPolicyID,
		func(v *Policy) []byte { return v.appendIDTo(v.Sel.appendTo(nil)) },
		func(b []byte) Policy { p, _ := decodeDeletedPolicy(b); return *p },
		[]member[Policy]{
			{"sel", func(v *Policy) { v.Sel = sel }, sel.appendTo(nil)},
			{"index", func(v *Policy) { v.Index = 0x12345678 }, b32(0x12345678)},
			{"dir", func(v *Policy) { v.Dir = DirFwd }, []byte{2}},
		})
	checkLayout(t, l, "xfrm_userpolicy_type", sizeofPolicyType,
		func(v *Policy) []byte { v.hasType = true; return attrOf(v.AppendTo(nil)[sizeofPolicyInfo:]) },
		func(b []byte) (v Policy) { v.decodeAttr(AttrPolicyType, b); return v },
		[]member[Policy]{
			{"type", func(v *Policy) { v.Type = PolicySub }, []byte{1}},
			{"reserved1", nil, nil}, {"reserved2", nil, nil},
		})
	checkLayout(t, l, "xfrm_user_migrate_state", sizeofMigrateState,
		func(v *Migration) []byte { return v.AppendTo(nil) },
		func(b []byte) Migration { m, _ := DecodeMigration(b); return m },
		[]member[Migration]{
			{"id", func(v *Migration) { v.ID = said }, said.AppendTo(nil)},
			{"new_daddr", func(v *Migration) { v.NewDst = addr }, addr[:]},
			{"new_saddr", func(v *Migration) { v.NewSrc = addr }, addr[:]},
			{"old_mark", func(v *Migration) { v.OldMark = Mark{1, 2} }, append(b32(1), b32(2)...)},
			{"new_sel", func(v *Migration) { v.NewSel = sel }, sel.appendTo(nil)},
			{"new_reqid", func(v *Migration) { v.NewReqid = 0x12345678 }, b32(0x12345678)},
			{"flags", func(v *Migration) { v.Flags = 0x12345678 }, b32(0x12345678)},
			{"new_family", func(v *Migration) { v.NewFamily = 0x1234 }, b16(0x1234)},
			{"reserved", nil, nil},
		})
}

// Values with no two bytes alike, for structs within structs.
var (
	sel = Selector{
		Dst: addr, Src: Address{16, 15, 14}, DPort: 17, DPortMask: 18, SPort: 19, SPortMask: 20, Family: 21,
		DstLen: 22, SrcLen: 23, Proto: 24, pad: [3]byte{25, 26, 27}, IfIndex: 28, User: 29,
	}
	limits  = LifetimeLimits{1, 2, 3, 4, 5, 6, 7, 8}
	current = Lifetime{1, 2, 3, 4}
	said    = SAID{Dst: addr, SPI: 0x12345678, Family: 0x1234, Proto: 0x12}
)

func encodeHeader(m *Message) []byte {
	b := appendMessage(nil, Request{Type: m.Type}, m.Flags, m.Seq)
	clear(b[:4]) // the length
	return b
}

func decodeHeader(b []byte) (m Message) {
	b = append(b32(sizeofHeader), b[4:]...)
	EachMessage(b, func(got Message) error { m = got; return nil })
	m.Payload = nil
	return m
}

// attrOf strips the header and padding of the first attribute of b.
func attrOf(b []byte) (payload []byte) {
	eachAttr(b, func(_ uint16, p []byte) error {
		if payload == nil {
			payload = p
		}
		return nil
	})
	return payload
}
