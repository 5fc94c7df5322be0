package topo

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var isp = Move{Left: LeftISPA, Right: RightISP, NewLeft: LeftISPB, NewRight: RightISP}

// Two SPIs, of the SA from left to right and of the one back.
const there, back = 0xc0000001, 0xc0000002

// good is what a faultless move looks like.
func good() *Observation {
	o := &Observation{
		Before: make(map[Namespace]Snapshot), After: make(map[Namespace]Snapshot),
		Notices: make(map[Namespace][]Notice), Replies: make(map[string][]Reply),
	}
	for _, ns := range Gateways {
		o.Before[ns], o.After[ns] = gateway(ns, LeftISPA, 100), gateway(ns, LeftISPB, 200)
		o.Notices[ns] = []Notice{{Type: MsgMigrateState, SPI: back}, {Type: MsgMigrateState, SPI: there}}
	}
	for seq := range uint32(10) {
		left := LeftISPA
		if seq >= 5 {
			left = LeftISPB
		}
		o.Wire = append(o.Wire, espPacket(left, RightISP, there, seq+1), espPacket(RightISP, left, back, seq+1))
		at := time.Unix(int64(seq), 0)
		for _, to := range []string{Client4, Client6} {
			o.Replies[to] = append(o.Replies[to], Reply{int(seq), at})
		}
	}
	return o
}

func gateway(ns Namespace, left netip.Addr, sent uint32) (s Snapshot) {
	s.SAs = []SA{
		{Src: left, Dst: RightISP, SPI: there, OSeq: sent, Seq: sent, Packets: uint64(sent)},
		{Src: RightISP, Dst: left, SPI: back, OSeq: sent, Seq: sent, Packets: uint64(sent)},
	}
	local, remote := left.String(), RightISP.String()
	if ns == Right {
		local, remote = remote, local
	}
	for _, selector := range []string{"v4", "v6"} {
		for _, dir := range []string{"in", "fwd", "out"} {
			p := Policy{Selector: selector, Dir: dir, Action: "allow", Template: remote + " > " + local}
			if dir == "out" {
				p.Template = local + " > " + remote
			}
			s.Policies = append(s.Policies, p)
		}
	}
	return s
}

func espPacket(src, dst netip.Addr, spi, seq uint32) Packet {
	b := binary.BigEndian.AppendUint32(nil, spi)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint64(b, uint64(seq)^0xfeed) // an IV that follows from the number, as the kernel's does
	return Packet{Src: src, Dst: dst, Proto: protoESP, Payload: b}
}

func TestChecksHoldForAFaultlessMove(t *testing.T) {
	for _, c := range good().Checks(isp) {
		if c.Err != nil {
			t.Errorf("%s: %v", c.What, c.Err)
		}
	}
}

// TestChecksFindTheFault breaks one thing at a time: a check that can't fail proves nothing.
func TestChecksFindTheFault(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(*Observation)
		finds string // part of the check that has to fail
	}{
		{"an SA was not migrated", func(o *Observation) { o.Notices[Left] = o.Notices[Left][:1] }, "MIGRATE_STATE"},
		{"an SA was migrated twice", func(o *Observation) { o.Notices[Right] = append(o.Notices[Right], o.Notices[Right][0]) }, "MIGRATE_STATE"},
		{"new keys", func(o *Observation) { o.After[Left].SAs[0].Keys[0]++ }, "keys"},
		{"a new lifetime", func(o *Observation) { o.After[Left].SAs[0].Added = "today" }, "keys"},
		{"another replay window", func(o *Observation) { o.After[Right].SAs[1].Fixed = "replay-window 0" }, "keys"},
		{"a counter went back", func(o *Observation) { o.After[Left].SAs[0].OSeq = 99 }, "keys"},
		{"an SA stayed behind", func(o *Observation) { o.After[Left].SAs[1].Dst = LeftISPA }, "keys"},
		{"a stale template", func(o *Observation) { o.After[Left].Policies[3].Template = o.Before[Left].Policies[3].Template }, "rewritten"},
		{"another priority", func(o *Observation) { o.After[Right].Policies[0].Priority = 7 }, "rewritten"},
		{"a block policy", func(o *Observation) { o.After[Right].Policies[0].Action = "block" }, "no block"},
		{"a tagged policy", func(o *Observation) { o.After[Left].Policies[0].UID = 7 }, "no block"},
		{"cleartext", func(o *Observation) { o.Wire[3] = Packet{Src: inner[1].Addr(), Dst: inner[3].Addr(), Proto: 58} }, "clear"},
		{"nothing was captured after the move", func(o *Observation) { o.Wire = o.Wire[:10] }, "clear"},
		{"a number used twice", func(o *Observation) { o.Wire[19] = o.Wire[17] }, "twice"},
		{"an IV used twice", func(o *Observation) { copy(o.Wire[18].Payload[8:16], o.Wire[0].Payload[8:16]) }, "twice"},
		{"numbers begin anew", func(o *Observation) { o.Wire[18] = espPacket(LeftISPB, RightISP, there, 1) }, "go on where"},
		{"an ACQUIRE", func(o *Observation) { o.Notices[Left] = append(o.Notices[Left], Notice{Type: MsgAcquire}) }, "ACQUIRE"},
		{"a new SA", func(o *Observation) { o.Notices[Left] = append(o.Notices[Left], Notice{Type: 0x10}) }, "strongSwan"},
		{"pings lost", func(o *Observation) { o.Replies[Client6][9].Seq += 100 }, "IPv6 pings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good()
			tt.fault(o)
			found := slices.ContainsFunc(o.Checks(isp), func(c Check) bool { return c.Err != nil && strings.Contains(c.What, tt.finds) })
			if !found {
				t.Errorf("no check with %q failed", tt.finds)
			}
		})
	}
}
