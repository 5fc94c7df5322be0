package xfrm

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fakeSocket is a kernel that says what the test wants to hear.
type fakeSocket struct {
	answer  func(reqs []Message) // called for each datagram sent; calls deliver and fail
	sendErr error
	queue   []delivery
	joined  []uint32
	joinErr error
	closed  bool

	sent     [][]Message // what was sent, copied
	lastSend []byte      // the sender's own buffer
	lastRecv []byte      // the receiver's own buffer
}

type delivery struct {
	b   []byte
	err error
}

// deliver queues one datagram of the given messages.
func (f *fakeSocket) deliver(msgs ...[]byte) {
	f.queue = append(f.queue, delivery{b: bytes.Join(msgs, nil)})
}

// fail queues an error for Receive to return.
func (f *fakeSocket) fail(err error) { f.queue = append(f.queue, delivery{err: err}) }

func (f *fakeSocket) Send(b []byte) error {
	f.lastSend = b
	if f.sendErr != nil {
		return f.sendErr
	}
	var reqs []Message
	err := EachMessage(bytes.Clone(b), func(m Message) error { reqs = append(reqs, m); return nil })
	f.sent = append(f.sent, reqs)
	if f.answer != nil {
		f.answer(reqs)
	}
	return err
}

func (f *fakeSocket) Receive(b []byte) (int, error) {
	f.lastRecv = b
	if f.closed {
		return 0, os.ErrClosed
	}
	if len(f.queue) == 0 {
		return 0, unix.EAGAIN
	}
	d := f.queue[0]
	f.queue = f.queue[1:]
	return copy(b, d.b), d.err
}

func (f *fakeSocket) Wait(time.Time) error {
	if f.closed {
		return os.ErrClosed
	}
	return os.ErrDeadlineExceeded
}

func (f *fakeSocket) Join(group uint32) error { f.joined = append(f.joined, group); return f.joinErr }

func (f *fakeSocket) Cookie() (uint64, error) { return 42, nil }

func (f *fakeSocket) Close() error { f.closed = true; return nil }

// message is a message from the kernel.
func message(typ, flags uint16, seq uint32, payload []byte) []byte {
	return appendMessage(nil, Request{Type: typ, Payload: payload}, flags, seq)
}

// ack is the capped acknowledgement of m.
func ack(m Message, errno unix.Errno) []byte {
	return message(unix.NLMSG_ERROR, unix.NLM_F_CAPPED, m.Seq, ackPayload(m, errno))
}

// refusal is a capped acknowledgement with a reason in words.
func refusal(m Message, errno unix.Errno, reason string) []byte {
	b := appendAttr(ackPayload(m, errno), nlmsgErrAttrMsg, append([]byte(reason), 0))
	return message(unix.NLMSG_ERROR, unix.NLM_F_CAPPED|unix.NLM_F_ACK_TLVS, m.Seq, b)
}

// echo is an acknowledgement that has the whole request in it, which is what a kernel without NETLINK_CAP_ACK sends.
func echo(m Message, errno unix.Errno, reason string) []byte {
	b := append(ackPayload(m, errno), m.Payload...)
	b = append(b, make([]byte, align4(len(b))-len(b))...)
	b = appendAttr(b, nlmsgErrAttrMsg, append([]byte(reason), 0))
	return message(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, m.Seq, b)
}

// ackPayload is struct nlmsgerr.
func ackPayload(m Message, errno unix.Errno) []byte {
	b := ne.AppendUint32(nil, uint32(-int32(errno)))
	return append(b, message(m.Type, m.Flags, m.Seq, m.Payload)[:sizeofHeader]...)
}

func done(seq uint32) []byte { return message(unix.NLMSG_DONE, unix.NLM_F_MULTI, seq, make([]byte, 4)) }

// isZero reports whether a buffer was cleared.
func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
