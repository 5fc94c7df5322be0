package xfrm

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStatusesGoWithTheirRequests(t *testing.T) {
	ids := []SAID{{SPI: 1, Proto: ProtoESP}, {SPI: 2, Proto: ProtoESP}, {SPI: 3, Proto: ProtoESP}}
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.deliver(message(MsgNewAE, 0, reqs[2].Seq, reqs[2].Payload), ack(reqs[2], 0))
		f.deliver(ack(reqs[1], unix.ESRCH))
		f.deliver(message(MsgNewAE, 0, reqs[0].Seq, []byte("short")), ack(reqs[0], 0))
	}
	var reqs []Request
	for _, id := range ids {
		reqs = append(reqs, GetSAStatus(id, Mark{}))
	}
	statuses, errs := NewConn(f).Statuses(reqs...)
	if !errors.Is(errs[0], errShort) || !errors.Is(errs[1], unix.ESRCH) || errs[2] != nil {
		t.Errorf("errors %v, want too short, ESRCH, nil", errs)
	}
	if statuses[2].ID != ids[2] {
		t.Errorf("third status is of %v, want %v", statuses[2].ID, ids[2])
	}
}

func TestPoliciesByIndex(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		for _, m := range reqs {
			if index := ne.Uint32(m.Payload[56:]); index == 9 {
				f.deliver(message(MsgNewPolicy, 0, m.Seq, policyPayload(9)), ack(m, 0))
			} else {
				f.deliver(ack(m, unix.ENOENT))
			}
		}
	}
	got, errs := NewConn(f).PoliciesByIndex([]*Policy{{Index: 17}, {Index: 9}})
	if !errors.Is(errs[0], unix.ENOENT) {
		t.Errorf("policy that is not there: %v, want ENOENT", errs[0])
	}
	if errs[1] != nil || got[1].Index != 9 {
		t.Errorf("index %d, %v, want 9", got[1].Index, errs[1])
	}
}

func TestSPDInfo(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		b := appendAttr(make([]byte, 4), spdInfo, append(append(b32(1), append(b32(2), b32(3)...)...), make([]byte, 12)...))
		b = appendAttr(b, 2, make([]byte, 8)) // XFRMA_SPD_HINFO
		b = appendAttr(b, spdIPv4Thresh, []byte{32, 24})
		b = appendAttr(b, spdIPv6Thresh, []byte{128, 64})
		f.deliver(message(MsgNewSPDInfo, 0, reqs[0].Seq, b), ack(reqs[0], 0))
	}
	got, err := NewConn(f).SPDInfo()
	if want := (SPDInfo{1, 2, 3, [2]uint8{32, 24}, [2]uint8{128, 64}}); err != nil || got != want {
		t.Errorf("got  %+v (%v)\nwant %+v", got, err, want)
	}
}

func TestQueryWhoseAnswerWasLostIsNotOneOfZeros(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.fail(unix.ENOBUFS)
		f.deliver(ack(reqs[0], 0))
	}
	if _, errs := NewConn(f).Statuses(GetSAStatus(SAID{SPI: 1}, Mark{})); !errors.Is(errs[0], ErrOutcomeUnknown) {
		t.Errorf("%v, want ErrOutcomeUnknown", errs[0])
	}
}
