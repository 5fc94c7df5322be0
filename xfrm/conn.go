package xfrm

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Conn sends requests to the kernel of one network namespace and reads the answers. It is safe for concurrent use;
// calls wait for each other, as the kernel makes them do anyway within a namespace.
type Conn struct {
	mu   sync.Mutex // guards everything below
	sock Socket
	seq  uint32
	out  []byte // reused for sending
	in   []byte // reused for receiving, cleared after each datagram; nil if kernel lends what it has received

	kernel *kernelSocket // sock, or what it wraps, if that is the running kernel and nobody stands between
}

// maxBatch is how many requests go into one datagram: the answers to this many fit many times into the receive buffer.
const maxBatch = 256

// maxSend is how long a datagram of more than one request may be. The kernel refuses one that does not fit into the
// socket's send buffer, 208 KiB by default; policies with labels or many templates would fill that with less than
// maxBatch.
const maxSend = 128 << 10

// maxDatagram is what the kernel fills at most with one piece of a dump (32 KiB, netlink_dump), doubled for luck.
const maxDatagram = 64 << 10

// Dial opens a Conn to the running kernel.
func Dial(ns NetNS) (*Conn, error) {
	s, err := dialKernel(ns, datagramsAhead)
	if err != nil {
		return nil, err
	}
	return NewConn(s), nil
}

// DialReadOnly opens a Conn to the running kernel that can't change anything (see ReadOnly).
func DialReadOnly(ns NetNS) (*Conn, error) {
	s, err := dialKernel(ns, datagramsAhead)
	if err != nil {
		return nil, err
	}
	return NewConn(ReadOnly(s)), nil
}

// NewConn returns a Conn on sock, which it closes with Close.
func NewConn(sock Socket) *Conn {
	c := &Conn{sock: sock}
	if r, ok := sock.(readOnly); ok {
		sock = r.Socket
	}
	if k, ok := sock.(*kernelSocket); ok {
		c.kernel = k
	} else {
		c.in = make([]byte, maxDatagram)
	}
	return c
}

// Close closes the socket.
func (c *Conn) Close() error { return c.sock.Close() }

// Cookie identifies the network namespace: unique until the machine restarts.
func (c *Conn) Cookie() (uint64, error) { return c.sock.Cookie() }

// Do sends the requests, several to a datagram, and returns one error for each, nil for what the kernel has done.
// A request that fails does not keep the kernel from those behind it. An error is an *Error with the kernel's answer,
// or wraps ErrNotSent or ErrOutcomeUnknown.
func (c *Conn) Do(reqs ...Request) []error {
	return c.exchange(reqs, func(int, Message) error { return nil })
}

// exchange does the work of Do. reply gets what the kernel answers to a request that reads, and says what to make of it.
func (c *Conn) exchange(reqs []Request, reply func(i int, m Message) error) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := make([]error, len(reqs))
	for from, to := 0, 0; from < len(reqs); from = to {
		to = from + batchLen(reqs[from:])
		c.batch(reqs[from:to], errs[from:to], func(i int, m Message) error { return reply(from+i, m) })
	}
	return errs
}

// batchLen tells how many of the first requests go into one datagram.
func batchLen(reqs []Request) int {
	size := 0
	for i, r := range reqs {
		size += align4(sizeofHeader + len(r.Payload))
		if i == maxBatch || i > 0 && size > maxSend {
			return i
		}
	}
	return len(reqs)
}

// batch sends one datagram and reads its answers.
//
// The kernel takes the requests in order, answers each before it looks at the next, and always answers one that it
// refuses. So only the last one asks for an acknowledgement: when that is there, and no answer was lost, those before it
// that were not refused are done. If an answer did not fit into the socket's receive buffer, all behind it are lost as
// well, the last one too, and if the kernel had no memory for one the next receive says ENOBUFS, as it does then
// (netlink_ack, netlink_overrun). A request that reads needs no acknowledgement at all: it is answered in any case.
func (c *Conn) batch(reqs []Request, errs []error, reply func(int, Message) error) {
	first := c.seq + 1
	size := 0
	for _, r := range reqs {
		size += align4(sizeofHeader + len(r.Payload))
	}
	c.out = slices.Grow(c.out[:0], size) // at once: growing bit by bit would leave copies behind that are never cleared
	left := 0                            // answers that will come whatever they are
	for i, r := range reqs {
		c.seq++
		flags := uint16(unix.NLM_F_REQUEST)
		switch {
		case reads(r.Type):
			left++
		case i == len(reqs)-1:
			flags |= unix.NLM_F_ACK
			left++
		}
		c.out = appendMessage(c.out, r, flags, c.seq)
	}
	err := c.sock.Send(c.out)
	clear(c.out) // a test's NEWSA has keys in it
	if err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("%s: %w: %w", msgName(reqs[i].Type), ErrNotSent, err)
		}
		return
	}
	for i := range errs {
		errs[i] = ErrOutcomeUnknown
	}
	var lost error
	for left > 0 {
		err := c.receive(func(m Message) error {
			i := int(m.Seq - first)
			if i < 0 || i >= len(reqs) || errs[i] != ErrOutcomeUnknown { //nolint:errorlint // the very value set above
				return nil // the late answer to an earlier request
			}
			switch {
			case m.Type == unix.NLMSG_ERROR:
				if errs[i] = ackError(reqs[i].Type, m); errs[i] == nil && reads(reqs[i].Type) {
					errs[i] = unexpected(reqs[i].Type, m) // not what was asked for
				}
			case reads(reqs[i].Type):
				errs[i] = reply(i, m)
			default:
				return nil
			}
			if reads(reqs[i].Type) || i == len(reqs)-1 {
				left--
			}
			return nil
		})
		switch {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			lost = err
		default: // EAGAIN: the kernel has acted and there is nothing more to read
			lost, left = err, 0
		}
	}
	for i, e := range errs {
		if e == ErrOutcomeUnknown { //nolint:errorlint // the very value set above
			errs[i] = nil
			if lost != nil {
				errs[i] = fmt.Errorf("%s: %w (%w)", msgName(reqs[i].Type), ErrOutcomeUnknown, lost)
			}
		}
	}
}

// reads reports whether the kernel answers a request of the type with a message, if it does not refuse it.
func reads(typ uint16) bool {
	switch typ {
	case MsgGetSA, MsgGetPolicy, MsgGetAE, MsgGetSADInfo, MsgGetSPDInfo:
		return true
	}
	return false
}

func ackError(typ uint16, m Message) error {
	errno, reason, err := decodeAck(m)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: %w", msgName(typ), ErrOutcomeUnknown, err)
	case errno == 0:
		return nil
	case errno == unix.EPERM:
		return fmt.Errorf("%w: %w", ErrNotPermitted, &Error{msgName(typ), errno, reason})
	}
	return &Error{msgName(typ), errno, reason}
}

// receive reads one datagram, hands its messages to f and clears the buffer, which may have held keys.
func (c *Conn) receive(f func(Message) error) error {
	b, err := c.next()
	defer clear(b)
	if err != nil {
		return err
	}
	return EachMessage(b, f)
}

// next receives a datagram, which is to be cleared after use.
func (c *Conn) next() ([]byte, error) {
	if c.kernel != nil {
		return c.kernel.lend() // a dump is large, and copied once less
	}
	n, err := c.sock.Receive(c.in)
	return c.in[:n], err
}

// MigrateSupported tells whether the kernel has XFRM_MSG_MIGRATE_STATE: nil, or an error that is ErrNotSupported or
// ErrNotPermitted or says why it can't be told. It changes nothing.
func (c *Conn) MigrateSupported() error {
	err := c.Do(probe.Request())[0]
	var refusal *Error
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case errors.Is(err, ErrNotPermitted):
		return err
	case errors.As(err, &refusal) && (refusal.Errno == unix.ENOPROTOOPT || refusal.Errno == unix.EINVAL):
		return fmt.Errorf("%w (%w)", ErrNotSupported, refusal)
	case err == nil:
		return errors.New("the kernel accepted a migration of an SA that can't exist")
	}
	return fmt.Errorf("probe for MIGRATE_STATE: %w", err)
}
