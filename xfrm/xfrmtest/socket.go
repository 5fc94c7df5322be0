package xfrmtest

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is a netlink socket of a Kernel. It implements xfrm.Socket.
type Socket struct {
	k      *Kernel
	port   uint32
	wake   chan struct{} // holds a token while there may be something to receive
	gone   chan struct{} // closed by Close
	closed bool          // this and all below is guarded by k.mu
	groups uint64
	queue  queue
	dump   *dump
	most   int // largest buffer that was received into: the size of a dump's pieces
}

// Send hands a datagram to the kernel. A message that fails does not keep it from those behind it.
func (s *Socket) Send(b []byte) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	// netlink_rcv_skb: a message that claims more than there is ends the datagram in silence.
	for len(b) >= sizeofHeader {
		n := int(ne.Uint32(b))
		if n < sizeofHeader || n > len(b) {
			return nil
		}
		msg := b[:n]
		r := s.handle(msg)
		flags := ne.Uint16(msg[6:])
		if r != quiet && (flags&unix.NLM_F_ACK != 0 || r != nil && r.errno != 0) {
			s.deliver(ack(msg, r, s.port))
		}
		b = b[min(align4(n), len(b)):]
	}
	return nil
}

func (s *Socket) handle(msg []byte) *refusal {
	typ, flags := ne.Uint16(msg[4:]), ne.Uint16(msg[6:])
	if flags&unix.NLM_F_REQUEST == 0 || typ < 0x10 /* NLMSG_MIN_TYPE */ {
		return nil
	}
	return s.dispatch(typ, flags, msg)
}

// deliver queues a datagram for this socket.
func (s *Socket) deliver(b []byte) bool {
	ok := s.queue.put(b, s.k.rcvbuf)
	s.ready()
	return ok
}

func (s *Socket) ready() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Receive reads one datagram. The next piece of a dump is made only now, from the tables as they are.
func (s *Socket) Receive(b []byte) (int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return 0, os.ErrClosed
	}
	d, err := s.queue.get()
	if err != nil {
		return 0, err
	}
	s.most = max(s.most, len(b))
	n := copy(b, d)
	whole := n == len(d)
	clear(d)
	if s.dump != nil && s.queue.bytes <= s.k.rcvbuf/2 {
		s.continueDump()
	}
	if !whole {
		return n, unix.EMSGSIZE
	}
	return n, nil
}

// Wait waits until there is something to receive.
func (s *Socket) Wait(until time.Time) error {
	var late <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		late = t.C
	}
	for {
		s.k.mu.Lock()
		closed, something := s.closed, !s.queue.empty()
		s.k.mu.Unlock()
		switch {
		case closed:
			return os.ErrClosed
		case something:
			return nil
		}
		select {
		case <-s.wake:
		case <-s.gone:
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

// Join subscribes to a multicast group.
func (s *Socket) Join(group uint32) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	if group == 0 || group > 63 {
		return unix.EINVAL
	}
	s.groups |= 1 << group
	return nil
}

// Cookie returns the Kernel's.
func (s *Socket) Cookie() (uint64, error) { return s.k.cookie, nil }

// Close closes the socket and ends Wait.
func (s *Socket) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.closed = true
	s.endDump()
	delete(s.k.sockets, s)
	close(s.gone)
	return nil
}

// listened reports whether somebody listens to the group.
func (k *Kernel) listened(group uint32) bool {
	for s := range k.sockets {
		if s.groups&(1<<group) != 0 {
			return true
		}
	}
	return false
}

// multicast sends a notification to all sockets of the group, the one that caused it included, and reports whether any
// got it.
func (k *Kernel) multicast(group uint32, msg []byte) (delivered bool) {
	for s := range k.sockets {
		if s.groups&(1<<group) != 0 && s.deliver(append([]byte(nil), msg...)) {
			delivered = true
		}
	}
	return delivered
}
