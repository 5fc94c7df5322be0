package xfrm

import "testing"

// TestStructsOfAnswersAreTheHeaders is about SAs, notifications and attributes: much of it the kernel sends and we never.
func TestStructsOfAnswersAreTheHeaders(t *testing.T) {
	l := readLayout(t)

	checkLayout(t, l, "xfrm_usersa_id", sizeofUsersaID,
		func(v *SAID) []byte { return v.AppendTo(nil) },
		func(b []byte) (v SAID) { v.decode(b); return v },
		[]member[SAID]{
			{"daddr", func(v *SAID) { v.Dst = addr }, addr[:]},
			{"spi", func(v *SAID) { v.SPI = 0x12345678 }, n32(0x12345678)},
			{"family", func(v *SAID) { v.Family = 0x1234 }, b16(0x1234)},
			{"proto", func(v *SAID) { v.Proto = 0x12 }, []byte{0x12}},
		})
	checkLayout(t, l, "xfrm_usersa_info", sizeofUsersaInfo, nil,
		func(b []byte) (v SA) { v.decodeInfo(b); return v },
		[]member[SA]{
			{"sel", func(v *SA) { v.Sel = sel }, sel.appendTo(nil)},
			{"id.daddr", func(v *SA) { v.ID.Dst = addr }, addr[:]},
			{"id.spi", func(v *SA) { v.ID.SPI = 0x12345678 }, n32(0x12345678)},
			{"id.proto", func(v *SA) { v.ID.Proto = 0x12 }, []byte{0x12}},
			{"saddr", func(v *SA) { v.Src = addr }, addr[:]},
			{"lft", func(v *SA) { v.Limits = limits }, limits.appendTo(nil)},
			{"curlft", func(v *SA) { v.Current = current }, current.appendTo(nil)},
			{"stats.replay_window", func(v *SA) { v.Stats.ReplayWindow = 0x12345678 }, b32(0x12345678)},
			{"stats.replay", func(v *SA) { v.Stats.Replay = 0x12345678 }, b32(0x12345678)},
			{"stats.integrity_failed", func(v *SA) { v.Stats.IntegrityFailed = 0x12345678 }, b32(0x12345678)},
			{"seq", nil, nil}, // of the ACQUIRE that asked for it
			{"reqid", func(v *SA) { v.Reqid = 0x12345678 }, b32(0x12345678)},
			{"family", func(v *SA) { v.ID.Family = 0x1234 }, b16(0x1234)},
			{"mode", func(v *SA) { v.Mode = 0x12 }, []byte{0x12}},
			{"replay_window", func(v *SA) { v.Window = 0x12 }, []byte{0x12}},
			{"flags", func(v *SA) { v.Flags = 0x12 }, []byte{0x12}},
		})
	checkLayout(t, l, "xfrm_aevent_id", sizeofAeventID, nil,
		func(b []byte) SAStatus { s, _ := DecodeSAStatus(b); return s },
		[]member[SAStatus]{
			{"sa_id", func(v *SAStatus) { v.ID = said }, said.AppendTo(nil)},
			{"saddr", func(v *SAStatus) { v.Src = addr }, addr[:]},
			{"flags", nil, nil}, // tested in the request below
			{"reqid", func(v *SAStatus) { v.Reqid = 0x12345678 }, b32(0x12345678)},
		})
	if got, want := ne.Uint32(GetSAStatus(said, Mark{}).Payload[l.fields["xfrm_aevent_id.flags"].offset:]), uint32(aeReplay|aeLifetime); got != want {
		t.Errorf("flags of GETAE: %#x, want %#x", got, want)
	}
	checkLayout(t, l, "xfrm_mark", sizeofMark,
		func(v *Mark) []byte { return attrOf(appendMark(nil, *v)) },
		func(b []byte) Mark { m, _ := attrMark(b); return m },
		[]member[Mark]{
			{"v", func(v *Mark) { v.Value = 0x12345678 }, b32(0x12345678)},
			{"m", func(v *Mark) { v.Mask = 0x12345678 }, b32(0x12345678)},
		})
	checkLayout(t, l, "xfrm_encap_tmpl", sizeofEncap,
		func(v *Encap) []byte { return attrOf(v.appendAttr(nil)) },
		func(b []byte) Encap { e, _ := decodeEncap(b); return e },
		[]member[Encap]{
			{"encap_type", func(v *Encap) { v.Type = 0x1234 }, b16(0x1234)},
			{"encap_sport", func(v *Encap) { v.SPort = 0x1234 }, n16(0x1234)},
			{"encap_dport", func(v *Encap) { v.DPort = 0x1234 }, n16(0x1234)},
			{"encap_oa", func(v *Encap) { v.OA = addr }, addr[:]},
		})
	checkLayout(t, l, "xfrm_user_offload", sizeofOffload,
		func(v *Offload) []byte { return attrOf(v.appendAttr(nil)) },
		func(b []byte) Offload { o, _ := decodeOffload(b); return o },
		[]member[Offload]{
			{"ifindex", func(v *Offload) { v.IfIndex = -2 }, b32(0xfffffffe)},
			{"flags", func(v *Offload) { v.Flags = 0x12 }, []byte{0x12}},
		})
	checkLayout(t, l, "xfrm_replay_state", sizeofReplay, nil,
		func(b []byte) Replay { r, _ := decodeReplay(AttrReplayVal, b); return r },
		[]member[Replay]{
			{"oseq", func(v *Replay) { v.Sent = 0x12345678 }, b32(0x12345678)},
			{"seq", func(v *Replay) { v.Received = 0x12345678 }, b32(0x12345678)},
			{"bitmap", nil, nil},
		})
	checkLayout(t, l, "xfrm_replay_state_esn", sizeofReplayESN, nil,
		func(b []byte) Replay { r, _ := decodeReplay(AttrReplayESN, b); return r },
		[]member[Replay]{
			{"bmp_len", nil, nil},
			{"oseq", func(v *Replay) { v.Sent = 0x12345678 }, b32(0x12345678)},
			{"seq", func(v *Replay) { v.Received = 0x12345678 }, b32(0x12345678)},
			{"oseq_hi", func(v *Replay) { v.Sent = 0x12345678 << 32 }, b32(0x12345678)},
			{"seq_hi", func(v *Replay) { v.Received = 0x12345678 << 32 }, b32(0x12345678)},
			{"replay_window", func(v *Replay) { v.Window = 0x12345678 }, b32(0x12345678)},
		})
	checkLayout(t, l, "xfrm_user_acquire", sizeofAcquire, nil,
		func(b []byte) Event { e, _ := decodeEvent(Message{Type: MsgAcquire, Payload: b}); return e },
		[]member[Event]{
			{"id", nil, nil}, {"saddr", nil, nil}, {"sel", nil, nil}, // the packet's; the policy's selector covers it
			{"policy", func(v *Event) { v.Policy = &policy }, policy.AppendTo(nil)},
			{"aalgos", nil, nil}, {"ealgos", nil, nil}, {"calgos", nil, nil}, {"seq", nil, nil},
		})
	checkLayout(t, l, "xfrm_user_expire", sizeofExpire, nil,
		func(b []byte) Event { e, _ := decodeEvent(Message{Type: MsgExpire, Payload: b}); return e },
		[]member[Event]{
			{"state", nil, nil}, // struct xfrm_usersa_info at 0
			{"hard", func(v *Event) { v.Hard = true }, []byte{1}},
		})
	checkLayout(t, l, "xfrm_user_polexpire", sizeofPolExpire, nil,
		func(b []byte) Event { e, _ := decodeEvent(Message{Type: MsgPolExpire, Payload: b}); return e },
		[]member[Event]{
			{"pol", func(v *Event) { v.Policy = &policy }, policy.AppendTo(nil)},
			{"hard", func(v *Event) { v.Hard = true }, []byte{1}},
		})
	checkLayout(t, l, "xfrmu_spdinfo", sizeofSPDInfo, nil, spdInfoOf(spdInfo), []member[SPDInfo]{
		{"incnt", func(v *SPDInfo) { v.In = 0x12345678 }, b32(0x12345678)},
		{"outcnt", func(v *SPDInfo) { v.Out = 0x12345678 }, b32(0x12345678)},
		{"fwdcnt", func(v *SPDInfo) { v.Fwd = 0x12345678 }, b32(0x12345678)},
		{"inscnt", nil, nil}, {"outscnt", nil, nil}, {"fwdscnt", nil, nil}, // of sockets
	})
	checkLayout(t, l, "xfrmu_spdhthresh", sizeofSPDHThresh, nil, spdInfoOf(spdIPv6Thresh), []member[SPDInfo]{
		{"lbits", func(v *SPDInfo) { v.IPv6Thresh[0] = 0x12 }, []byte{0x12}},
		{"rbits", func(v *SPDInfo) { v.IPv6Thresh[1] = 0x12 }, []byte{0x12}},
	})
}

var policy = Policy{Sel: sel, Limits: limits, Current: current, Priority: 5, Index: 6, Dir: DirFwd, Action: Block, Flags: 7, Share: 8}

func spdInfoOf(attr uint16) func(b []byte) SPDInfo {
	return func(b []byte) (info SPDInfo) {
		info.decode(appendAttr(make([]byte, 4), attr, b))
		return info
	}
}
