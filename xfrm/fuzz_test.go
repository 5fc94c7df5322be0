package xfrm

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Each of these runs for longer with, for example,
//
//	go test ./xfrm -run '^$' -fuzz FuzzDecodePolicy -fuzztime 60s -parallel 1

func FuzzDecodeSA(f *testing.F) {
	f.Add(saPayload(1))
	f.Add(sampleSA())
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		sa, err := DecodeSA(b)
		if !bytes.Equal(b, was) {
			t.Fatal("the decoder wrote into its input")
		}
		if err != nil {
			return
		}
		label := strings.Clone(sa.Label)
		clear(b)
		if sa.Label != label {
			t.Fatal("the SA aliases the buffer")
		}
		if again, _ := DecodeSA(was); !reflect.DeepEqual(sa, again) {
			t.Fatalf("decoded twice\ngot  %+v\nwant %+v", again, sa)
		}
	})
}

func FuzzDecodeStatus(f *testing.F) {
	f.Add(GetSAStatus(said, Mark{1, 2}).Payload)
	f.Add(appendAttr(make([]byte, sizeofAeventID), AttrReplayESN, make([]byte, sizeofReplayESN)))
	f.Add(appendAttr(make([]byte, sizeofAeventID), AttrLtimeVal, make([]byte, sizeofLifetimeCur)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSAStatus(b)
		if err == nil && s.ID.Family != Family(ne.Uint16(b[20:])) {
			t.Fatalf("family %v of %x", s.ID.Family, b[:sizeofAeventID])
		}
	})
}

// FuzzDecodePolicy proves that what is sent back is what was read: whatever the package doesn't know, byte for byte.
func FuzzDecodePolicy(f *testing.F) {
	f.Add(policyPayload(1))
	f.Add(samplePolicy())
	f.Add(appendAttr(appendAttr(samplePolicy(), 0x8000|77, []byte("odd")), AttrOffloadDev, make([]byte, 8)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePolicy(b)
		if err != nil {
			return
		}
		if len(p.Templates)*sizeofTmpl > len(b) || cap(p.unknown) > 2*len(b)+64 {
			t.Fatalf("%d templates and %d bytes of unknown attributes from %d bytes", len(p.Templates), cap(p.unknown), len(b))
		}
		encoded := p.AppendTo(nil)
		again, err := DecodePolicy(encoded)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("decoded, encoded, decoded (%v)\ngot  %+v\nwant %+v", err, again, p)
		}
		if twice := again.AppendTo(nil); !bytes.Equal(twice, encoded) {
			t.Fatalf("encoded twice\ngot  %x\nwant %x", twice, encoded)
		}
		if want := unknownAttrs(b[sizeofPolicyInfo:]); !bytes.HasSuffix(encoded, want) || !bytes.Equal(p.unknown, want) {
			t.Fatalf("unknown attributes\ngot  %x\nwant %x", p.unknown, want)
		}
		if p.IsSocket() != (p.Index&7 >= 3) {
			t.Fatalf("index %#x: IsSocket %v", p.Index, p.IsSocket())
		}
	})
}

// unknownAttrs copies the attributes that DecodePolicy has no field for, padded with zeros.
func unknownAttrs(b []byte) (unknown []byte) {
	known := []uint16{AttrTmpl, AttrSecCtx, AttrPolicyType, AttrMark, AttrIfID}
	for len(b) >= 4 {
		n := int(ne.Uint16(b))
		if !slices.Contains(known, ne.Uint16(b[2:])) {
			unknown = append(unknown, b[:n]...)
			unknown = append(unknown, make([]byte, align4(n)-n)...)
		}
		b = b[min(align4(n), len(b)):]
	}
	return unknown
}

func FuzzDecodeMigration(f *testing.F) {
	f.Add(probe.Request().Payload)
	f.Add(sampleMigration().Request().Payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMigration(b)
		if err != nil {
			return
		}
		encoded := m.Request().Payload
		again, err := DecodeMigration(encoded)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("decoded, encoded, decoded (%v)\ngot  %+v\nwant %+v", err, again, m)
		}
		// Byte 23 is padding and 130 the reserved field, which are sent as zeros.
		head := bytes.Clone(b[:sizeofMigrateState])
		head[23], head[130], head[131] = 0, 0, 0
		if !bytes.Equal(encoded[:sizeofMigrateState], head) {
			t.Fatalf("encoded\ngot  %x\nwant %x", encoded[:sizeofMigrateState], head)
		}
	})
}

// FuzzEvent reads arbitrary datagrams as a Monitor does.
func FuzzEvent(f *testing.F) {
	f.Add(message(MsgNewSA, 0, 0, sampleSA()))
	f.Add(message(MsgDelSA, 0, 0, appendAttr(said.AppendTo(nil), attrSA, sampleSA()[:sizeofUsersaInfo])))
	f.Add(message(MsgExpire, 0, 0, make([]byte, sizeofExpire)))
	f.Add(message(MsgUpdPolicy, 0, 0, samplePolicy()))
	f.Add(message(MsgDelPolicy, 0, 0, appendAttr(make([]byte, sizeofPolicyID), attrPolicy, make([]byte, sizeofPolicyInfo))))
	f.Add(message(MsgPolExpire, 0, 0, make([]byte, sizeofPolExpire)))
	f.Add(message(MsgAcquire, 0, 0, make([]byte, sizeofAcquire)))
	f.Add(message(MsgMigrateState, 0, 0, probe.Request().Payload))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := EachMessage(b, func(m Message) error {
			n++
			e, err := decodeEvent(m)
			if e.Type != m.Type {
				t.Fatalf("type %d of a message of type %d", e.Type, m.Type)
			}
			return err
		})
		if err == nil && n*sizeofHeader > len(b) {
			t.Fatalf("%d messages in %d bytes", n, len(b))
		}
	})
}

// FuzzAck holds that the outcome is known whenever there is room for one, whatever follows it.
func FuzzAck(f *testing.F) {
	m := Message{Type: MsgMigrateState, Seq: 1, Payload: []byte("abcde")}
	for _, b := range [][]byte{ack(m, 0), refusal(m, unix.EEXIST, "occupied"), echo(m, unix.EINVAL, "no")} {
		f.Add(ne.Uint16(b[6:]), b[sizeofHeader:])
	}
	f.Fuzz(func(t *testing.T, flags uint16, b []byte) {
		errno, reason, err := decodeAck(Message{Type: unix.NLMSG_ERROR, Flags: flags, Payload: b})
		if (err != nil) != (len(b) < 4+sizeofHeader) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && uint32(-int32(errno)) != ne.Uint32(b) {
			t.Fatalf("errno %d of %x", errno, b[:4])
		}
		if len(reason) > len(b) || strings.Contains(reason, "\x00") {
			t.Fatalf("reason %q", reason)
		}
	})
}
