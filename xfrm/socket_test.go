package xfrm

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dialTestSocket opens a socket to whatever kernel the test runs on. Opening one and waiting on it takes no privilege
// and no SA.
func dialTestSocket(t *testing.T) *kernelSocket {
	t.Helper()
	s, err := dialKernel(0, datagramsAhead)
	if err != nil {
		t.Skipf("no XFRM netlink socket here: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSocketCloseEndsWait(t *testing.T) {
	s := dialTestSocket(t)
	time.AfterFunc(20*time.Millisecond, func() { s.Close() })
	if err := s.Wait(time.Time{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait during Close: %v, want os.ErrClosed", err)
	}
	if _, err := s.Receive(make([]byte, 64)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Receive after Close: %v, want os.ErrClosed", err)
	}
	if err := s.Send(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Send after Close: %v, want os.ErrClosed", err)
	}
}

func TestSocketReceiveHasLengthZeroWithoutDatagram(t *testing.T) {
	s := dialTestSocket(t)
	if n, err := s.Receive(make([]byte, 64)); n != 0 || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Receive: %d, %v, want 0, EAGAIN", n, err)
	}
}

func TestSocketReceivesAfterWaitRanIntoItsDeadline(t *testing.T) {
	s := dialTestSocket(t)
	if err := s.Wait(time.Now().Add(-time.Second)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Wait with a deadline in the past: %v, want os.ErrDeadlineExceeded", err)
	}
	if _, err := s.Receive(make([]byte, 64)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Receive: %v, want EAGAIN", err)
	}
}

// TestSocketWaitSeesWhatCameBeforeIt pins that Wait looks at the socket: the runtime's poller tells of arrivals only,
// and forgets those from before the call.
func TestSocketWaitSeesWhatCameBeforeIt(t *testing.T) {
	s := dialTestSocket(t)
	for i := range 100 { // a single time could be luck
		// A message type that XFRM can't have: answered with an error whatever the kernel and the privileges.
		if err := s.Send(appendMessage(nil, Request{Type: 0xffff}, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatalf("time %d: Wait with an answer there: %v", i, err)
		}
		if _, err := s.Receive(make([]byte, 256)); err != nil {
			t.Fatalf("time %d: Receive: %v", i, err)
		}
	}
}

func TestSocketSaysWhenADatagramDoesNotFit(t *testing.T) {
	s := dialTestSocket(t)
	if err := s.Send(appendMessage(nil, Request{Type: 0xffff}, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 1)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Receive(make([]byte, 20)); n != 20 || !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("Receive into 20 bytes: %d, %v, want 20, EMSGSIZE", n, err)
	}
}

func TestDialTellsNamespacesApart(t *testing.T) {
	s := dialTestSocket(t)
	a, err := NewConn(s).Cookie()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := dialTestSocket(t).Cookie(); err != nil || a != b || a == 0 {
		t.Errorf("cookies of one namespace: %d and %d (%v)", a, b, err)
	}
}

// TestSocketReadsAheadInOrder sends more than one read ahead takes, with an answer that does not fit among them.
func TestSocketReadsAheadInOrder(t *testing.T) {
	s := dialTestSocket(t)
	const n = 2*datagramsAhead + 3
	var b []byte
	for i := range uint32(n) {
		b = appendMessage(b, Request{Type: 0xffff}, unix.NLM_F_REQUEST|unix.NLM_F_ACK, i+1)
	}
	if err := s.Send(b); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	for i := range uint32(n) {
		k, err := s.Receive(buf)
		if err != nil {
			t.Fatalf("answer %d: %v", i+1, err)
		}
		if err := EachMessage(buf[:k], func(m Message) error {
			if m.Seq != i+1 {
				t.Errorf("answer %d is to message %d", i+1, m.Seq)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, used := range s.ahead.bufs[:s.ahead.next] {
			if !isZero(used[:256]) {
				t.Fatalf("answer %d: what was taken is still there", i+1)
			}
		}
	}
	if k, err := s.Receive(buf); k != 0 || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("after all of them: %d, %v, want 0, EAGAIN", k, err)
	}
}
