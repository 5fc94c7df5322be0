package xfrm

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// requests returns n requests that can be told apart by their payloads.
func requests(n int) []Request {
	reqs := make([]Request, n)
	for i := range reqs {
		reqs[i] = Request{Type: MsgMigrateState, Payload: b32(uint32(i))}
	}
	return reqs
}

func TestDoTakesTheLastAcknowledgementForAllThatWereNotRefused(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.deliver(ack(reqs[0], unix.ESRCH), refusal(reqs[1], unix.EEXIST, "New SA tuple already occupied"))
		f.deliver(ack(reqs[3], 0))
	}
	errs := NewConn(f).Do(requests(4)...)
	if !errors.Is(errs[0], unix.ESRCH) || !errors.Is(errs[1], unix.EEXIST) || errs[2] != nil || errs[3] != nil {
		t.Errorf("got %v, want ESRCH, EEXIST, nil, nil", errs)
	}
	want := "MIGRATE_STATE: file exists: New SA tuple already occupied"
	if got := errs[1].Error(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDoReadsTheReasonBehindAnEchoedRequest(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 132} { // lengths with and without padding
		f := &fakeSocket{}
		f.answer = func(reqs []Message) { f.deliver(echo(reqs[0], unix.EINVAL, "Reserved field must be zero")) }
		err := NewConn(f).Do(Request{Type: MsgMigrateState, Payload: make([]byte, n)})[0]
		var refused *Error
		if !errors.As(err, &refused) || refused.Reason != "Reserved field must be zero" || refused.Errno != unix.EINVAL {
			t.Errorf("payload of %d bytes: %v", n, err)
		}
	}
}

func TestDoSaysWhichAnswersWereLost(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.deliver(ack(reqs[0], 0))
		f.fail(unix.ENOBUFS)
		f.deliver(ack(reqs[2], unix.ESRCH))
	}
	errs := NewConn(f).Do(requests(4)...)
	for i, want := range []error{nil, ErrOutcomeUnknown, unix.ESRCH, ErrOutcomeUnknown} {
		if !errors.Is(errs[i], want) {
			t.Errorf("request %d: %v, want %v", i, errs[i], want)
		}
	}
}

func TestDoIsRightWhenNothingWasLostInSpiteOfENOBUFS(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.fail(unix.ENOBUFS)
		f.fail(unix.EINTR)
		f.deliver(ack(reqs[0], 0), ack(reqs[1], 0))
	}
	for i, err := range NewConn(f).Do(requests(2)...) {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

func TestDoIgnoresAnswersToEarlierRequests(t *testing.T) {
	f := &fakeSocket{}
	c := NewConn(f)
	var late Message
	f.answer = func(reqs []Message) { late = reqs[0] } // says nothing
	if err := c.Do(requests(1)...)[0]; !errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("no answer: %v, want ErrOutcomeUnknown", err)
	}
	f.answer = func(reqs []Message) {
		f.deliver(ack(late, unix.EPERM))
		f.deliver(ack(Message{Seq: reqs[0].Seq + 1}, unix.EPERM))
		f.deliver(ack(reqs[0], 0))
	}
	if err := c.Do(requests(1)...)[0]; err != nil {
		t.Errorf("second request: %v", err)
	}
}

func TestDoSaysThatNothingWasSent(t *testing.T) {
	f := &fakeSocket{sendErr: unix.ENOBUFS}
	c := NewConn(f)
	for i, err := range c.Do(requests(2)...) {
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, unix.ENOBUFS) || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("request %d: %v, want ErrNotSent and ENOBUFS", i, err)
		}
	}
	f.sendErr = nil
	f.answer = func(reqs []Message) { f.deliver(ack(reqs[0], 0)) }
	if err := c.Do(requests(1)...)[0]; err != nil {
		t.Errorf("the next request: %v", err)
	}
}

func TestDoSplitsWhatDoesNotFitIntoOneDatagram(t *testing.T) {
	big := Request{Type: MsgNewPolicy, Payload: make([]byte, maxSend/3)}
	for _, c := range []struct {
		name string
		reqs []Request
		want []int // requests in each datagram
	}{
		{"none", nil, nil},
		{"one batch", requests(maxBatch), []int{maxBatch}},
		{"over maxBatch", requests(2*maxBatch + 1), []int{maxBatch, maxBatch, 1}},
		{"over maxSend", slices.Repeat([]Request{big}, 5), []int{2, 2, 1}},
		{"one larger than maxSend", []Request{{Type: MsgNewPolicy, Payload: make([]byte, 2*maxSend)}, big}, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{}
			f.answer = func(reqs []Message) {
				for _, m := range reqs {
					errno := unix.Errno(0)
					if len(m.Payload) == 4 && ne.Uint32(m.Payload) == maxBatch {
						errno = unix.ESRCH
					}
					f.deliver(ack(m, errno))
				}
			}
			errs := NewConn(f).Do(c.reqs...)
			var got []int
			for _, d := range f.sent {
				got = append(got, len(d))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("datagrams of %v requests, want %v", got, c.want)
			}
			for i, err := range errs {
				if want := c.name == "over maxBatch" && i == maxBatch; errors.Is(err, unix.ESRCH) != want || (err != nil) != want {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
}

// TestDoClaimsNothingAfterALoss: the kernel had no memory for the answer to one of the requests, and some for the last one.
func TestDoClaimsNothingAfterALoss(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		f.fail(unix.ENOBUFS)
		f.deliver(ack(reqs[0], unix.EEXIST))
		f.deliver(ack(reqs[3], 0))
	}
	errs := NewConn(f).Do(requests(4)...)
	for i, want := range []error{unix.EEXIST, ErrOutcomeUnknown, ErrOutcomeUnknown, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("request %d: %v, want %v", i, errs[i], want)
		}
	}
}

func TestDoAsksForOneAcknowledgement(t *testing.T) {
	f := &fakeSocket{}
	c := NewConn(f)
	c.Do(requests(3)...)
	c.Read(GetSAStatus(SAID{}, Mark{}), GetPolicy(&Policy{}))
	for i, want := range [][]uint16{
		{unix.NLM_F_REQUEST, unix.NLM_F_REQUEST, unix.NLM_F_REQUEST | unix.NLM_F_ACK},
		{unix.NLM_F_REQUEST, unix.NLM_F_REQUEST}, // what reads is answered anyway
	} {
		var got []uint16
		for _, m := range f.sent[i] {
			got = append(got, m.Flags)
		}
		if !slices.Equal(got, want) {
			t.Errorf("flags %#x, want %#x", got, want)
		}
	}
	if f.sent[0][0].Seq == f.sent[0][1].Seq {
		t.Error("two requests have one sequence number")
	}
}

func TestDoOutlivesTheWrapOfSequenceNumbers(t *testing.T) {
	f := &fakeSocket{}
	f.answer = func(reqs []Message) {
		for _, m := range reqs {
			f.deliver(ack(m, 0))
		}
	}
	c := NewConn(f)
	c.seq = ^uint32(0) - 1
	for i, err := range c.Do(requests(4)...) {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

func TestDoClearsItsBuffers(t *testing.T) {
	key := []byte("a key that must not stay")
	for _, c := range []struct {
		name    string
		sendErr error
		recvErr error
	}{{"answered", nil, nil}, {"not sent", unix.ENOBUFS, nil}, {"answer truncated", nil, unix.EMSGSIZE}} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{sendErr: c.sendErr}
			f.answer = func(reqs []Message) {
				f.queue = append(f.queue, delivery{b: message(MsgNewSA, 0, reqs[0].Seq, key), err: c.recvErr})
				f.deliver(ack(reqs[0], 0))
			}
			conn := NewConn(f)
			conn.Do(Request{Type: MsgNewSA, Payload: key})
			if !isZero(f.lastSend) || !isZero(conn.in) {
				t.Error("the key is still in a buffer")
			}
		})
	}
}

func TestMigrateSupported(t *testing.T) {
	for _, c := range []struct {
		name  string
		errno unix.Errno
		want  error
	}{
		{"Linux 7.2 and later", unix.ESRCH, nil},
		{"without CONFIG_XFRM_MIGRATE", unix.ENOPROTOOPT, ErrNotSupported},
		{"older", unix.EINVAL, ErrNotSupported},
		{"without the capability", unix.EPERM, ErrNotPermitted},
		{"out of memory", unix.ENOMEM, unix.ENOMEM},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeSocket{}
			f.answer = func(reqs []Message) { f.deliver(ack(reqs[0], c.errno)) }
			if err := NewConn(f).MigrateSupported(); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	f := &fakeSocket{}
	f.answer = func(reqs []Message) { f.deliver(ack(reqs[0], 0)) }
	if err := NewConn(f).MigrateSupported(); err == nil {
		t.Error("a kernel that migrates the SA that can't exist passes")
	}
}
