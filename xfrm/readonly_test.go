package xfrm

import (
	"errors"
	"testing"
)

func TestReadOnlyLetsOnlyReadingRequestsThrough(t *testing.T) {
	reads := map[uint16]bool{MsgGetSA: true, MsgGetPolicy: true, MsgGetAE: true, MsgGetSADInfo: true, MsgGetSPDInfo: true}
	for typ := range uint16(0x40) { // XFRM_MSG_MAX is 0x29
		f := &fakeSocket{}
		err := ReadOnly(f).Send(message(typ, 0, 1, nil))
		if reads[typ] && (err != nil || len(f.sent) != 1) {
			t.Errorf("%s: %v, want it sent", msgName(typ), err)
		}
		if !reads[typ] && (!errors.Is(err, ErrReadOnly) || len(f.sent) != 0) {
			t.Errorf("%s: %v, want ErrReadOnly and nothing sent", msgName(typ), err)
		}
	}
}

func TestReadOnlyRefusesTheWholeDatagram(t *testing.T) {
	f := &fakeSocket{}
	b := append(message(MsgGetSA, 0, 1, nil), message(MsgDelSA, 0, 2, nil)...)
	if err := ReadOnly(f).Send(b); !errors.Is(err, ErrReadOnly) || len(f.sent) != 0 {
		t.Errorf("%v, %d datagrams sent, want ErrReadOnly and none", err, len(f.sent))
	}
	if err := ReadOnly(f).Send([]byte("not netlink, but long enough")); err == nil || len(f.sent) != 0 {
		t.Errorf("what can't be read as netlink: %v, %d datagrams sent, want an error and none", err, len(f.sent))
	}
}

func TestReadOnlyLetsTheProbeThroughAndNoMigration(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) { f.deliver(ack(reqs[0], 3 /* ESRCH */)) }
	c := NewConn(ReadOnly(f))
	if err := c.MigrateSupported(); err != nil {
		t.Errorf("probe: %v", err)
	}
	m := probe
	m.ID.Proto = ProtoESP
	if err := c.Do(m.Request())[0]; !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrNotSent) {
		t.Errorf("migration: %v, want ErrReadOnly and ErrNotSent", err)
	}
}
