package xfrm

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// saPayload is a NEWSA message's payload with the given SPI.
func saPayload(spi SPI) []byte {
	b := make([]byte, sizeofUsersaInfo)
	be.PutUint32(b[72:], uint32(spi))
	return b
}

func policyPayload(index uint32) []byte {
	p := Policy{Index: index}
	return p.AppendTo(nil)
}

func spis(sas []SA) (got []SPI) {
	for i := range sas {
		got = append(got, sas[i].ID.SPI)
	}
	return got
}

func TestDumpRedoneWhenTheTableChanges(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		seq := reqs[0].Seq
		if len(f.sent) < 3 {
			f.deliver(message(MsgNewSA, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, seq, saPayload(7)))
		} else {
			f.deliver(message(MsgNewSA, unix.NLM_F_MULTI, seq, saPayload(1)), message(MsgNewSA, unix.NLM_F_MULTI, seq, saPayload(2)))
		}
		f.deliver(done(seq))
	}
	sas, err := NewConn(f).SAs()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spis(sas), []SPI{1, 2}; !slices.Equal(got, want) {
		t.Errorf("SPIs %v, want %v: nothing of the interrupted dumps", got, want)
	}
}

func TestDumpInterruptionIsSeenOnItsLastMessage(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		flags := uint16(unix.NLM_F_MULTI)
		if len(f.sent) == 1 {
			flags |= unix.NLM_F_DUMP_INTR
		}
		f.deliver(message(unix.NLMSG_DONE, flags, reqs[0].Seq, make([]byte, 4)))
	}
	if _, err := NewConn(f).SAs(); err != nil || len(f.sent) != 2 {
		t.Errorf("%d dumps (%v), want 2", len(f.sent), err)
	}
}

func TestDumpGivenUpWhenTheTableNeverHoldsStill(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.deliver(message(unix.NLMSG_DONE, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, reqs[0].Seq, make([]byte, 4)))
	}
	if _, err := NewConn(f).SAs(); !errors.Is(err, ErrDumpInterrupted) || len(f.sent) != maxDumps {
		t.Errorf("%d dumps, %v, want %d and ErrDumpInterrupted", len(f.sent), err, maxDumps)
	}
}

func TestDumpFailsWithTheKernelsErrno(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(m Message) []byte
	}{
		{"refused", func(m Message) []byte { return ack(m, unix.EPERM) }},
		{"broken off", func(m Message) []byte {
			return message(unix.NLMSG_DONE, unix.NLM_F_MULTI, m.Seq, b32(^uint32(unix.EPERM)+1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{}
			f.answer = func(reqs []Message) { f.deliver(c.answer(reqs[0])) }
			if sas, err := NewConn(f).SAs(); !errors.Is(err, unix.EPERM) || sas != nil {
				t.Errorf("%v, %v, want nil, EPERM", sas, err)
			}
		})
	}
}

// TestDumpIsReadToItsEndAfterAnError has a second dump find an empty socket: the kernel says EBUSY if there is still a
// dump to read.
func TestDumpIsReadToItsEndAfterAnError(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  delivery
		want error
	}{
		{"undecodable SA", delivery{b: message(MsgNewSA, 0, 1, make([]byte, 20))}, errShort},
		{"undecodable attribute", delivery{b: message(MsgNewSA, 0, 1, append(saPayload(1), b16(2)...))}, errShort},
		{"message longer than its datagram", delivery{b: b32(1000)}, nil},
		{"header longer than its datagram", delivery{b: append(b32(1000), make([]byte, 12)...)}, errShort},
		{"truncated datagram", delivery{err: unix.EMSGSIZE}, unix.EMSGSIZE},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{}
			conn := NewConn(f)
			f.answer = func(reqs []Message) {
				if len(f.queue) != 0 {
					f.deliver(ack(reqs[0], unix.EBUSY))
					return
				}
				if len(f.sent) == 1 {
					f.queue = append(f.queue, c.bad)
				}
				f.deliver(message(MsgNewSA, 0, reqs[0].Seq, saPayload(9)))
				f.deliver(done(reqs[0].Seq))
			}
			if _, err := conn.SAs(); !errors.Is(err, c.want) {
				t.Errorf("first dump: %v, want %v", err, c.want)
			}
			if sas, err := conn.SAs(); err != nil || len(sas) != 1 {
				t.Errorf("second dump: %d SAs, %v, want 1", len(sas), err)
			}
		})
	}
}

func TestDumpWithPartsLostIsRedone(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		if len(f.sent) == 1 {
			f.fail(unix.ENOBUFS)
		}
		f.deliver(message(MsgNewSA, 0, reqs[0].Seq, saPayload(9)))
		f.deliver(done(reqs[0].Seq))
	}
	if sas, err := NewConn(f).SAs(); err != nil || len(sas) != 1 || len(f.sent) != 2 {
		t.Errorf("%d SAs, %v, %d dumps, want 1, nil, 2", len(sas), err, len(f.sent))
	}
}

func TestDumpThatNeverEndsIsAnError(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) { f.deliver(message(MsgNewSA, 0, reqs[0].Seq, saPayload(9))) }
	if sas, err := NewConn(f).SAs(); !errors.Is(err, unix.EAGAIN) || sas != nil {
		t.Errorf("%v, %v, want nil, EAGAIN", sas, err)
	}
}

func TestDumpNotSentIsSaidSo(t *testing.T) {
	if _, err := NewConn(&fakeSocket{sendErr: unix.ENOBUFS}).SAs(); !errors.Is(err, ErrNotSent) {
		t.Errorf("%v, want ErrNotSent", err)
	}
}

func TestDumpClearsItsBuffer(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.deliver(message(MsgNewSA, 0, reqs[0].Seq, appendAttr(saPayload(1), AttrAlgAEAD, []byte("a key that must not stay"))))
		f.deliver(done(reqs[0].Seq))
	}
	c := NewConn(f)
	if _, err := c.SAs(); err != nil {
		t.Fatal(err)
	}
	if !isZero(c.in) {
		t.Error("the key is still in the buffer")
	}
}

func TestPoliciesLeavesThoseOfSocketsOut(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		for _, index := range []uint32{8, 9, 10, 11, 12, 16} { // 11 and 12: directions 3 and 4
			f.deliver(message(MsgNewPolicy, 0, reqs[0].Seq, policyPayload(index)))
		}
		f.deliver(done(reqs[0].Seq))
	}
	policies, err := NewConn(f).Policies()
	var got []uint32
	for _, p := range policies {
		got = append(got, p.Index)
	}
	if want := []uint32{8, 9, 10, 16}; err != nil || !slices.Equal(got, want) {
		t.Errorf("indices %v (%v), want %v", got, err, want)
	}
}
