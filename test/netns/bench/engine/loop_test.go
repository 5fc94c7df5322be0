//go:build lab

package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// loop sends datagrams that were encoded beforehand and reads their acknowledgements: what no program that does the
// same can undercut.
type loop struct {
	fd  int
	buf [4096]byte
}

// datagram is a number of requests that go to the kernel in one call.
type datagram struct {
	bytes    []byte
	requests int
	answers  int // acknowledgements that it asks for
}

// datagramOf asks for one acknowledgement, of the last request: the kernel takes them in order and answers what it
// refuses in any case.
func datagramOf(reqs ...xfrm.Request) datagram { return encode(reqs, 1) }

// acknowledged asks for an acknowledgement of each request.
func acknowledged(reqs ...xfrm.Request) datagram { return encode(reqs, len(reqs)) }

func encode(reqs []xfrm.Request, answers int) datagram {
	d := datagram{requests: len(reqs), answers: answers}
	for i, r := range reqs {
		flags := uint16(unix.NLM_F_REQUEST)
		if i >= len(reqs)-answers {
			flags |= unix.NLM_F_ACK
		}
		n := unix.SizeofNlMsghdr + len(r.Payload)
		b := binary.NativeEndian.AppendUint32(d.bytes, uint32(n))
		b = binary.NativeEndian.AppendUint16(b, r.Type)
		b = binary.NativeEndian.AppendUint16(b, flags)
		b = binary.NativeEndian.AppendUint32(b, uint32(i+1))
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = append(b, r.Payload...)
		d.bytes = append(b, make([]byte, -n&3)...)
	}
	return d
}

// each makes a datagram of each request.
func each(reqs []xfrm.Request) []datagram {
	all := make([]datagram, len(reqs))
	for i, r := range reqs {
		all[i] = datagramOf(r)
	}
	return all
}

func (h *hub) loop() *loop {
	h.t.Helper()
	c, err := netlink.Dial(unix.NETLINK_XFRM, &netlink.Config{NetNS: int(h.ns.FD())})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	for _, o := range []netlink.ConnOption{netlink.ExtendedAcknowledge, netlink.CapAcknowledge} {
		if err := c.SetOption(o, true); err != nil {
			h.t.Fatal(err)
		}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		h.t.Fatal(err)
	}
	l := new(loop)
	// The descriptor stays what it is until the connection is closed, at the end of the test.
	if err := raw.Control(func(fd uintptr) { l.fd = int(fd) }); err != nil {
		h.t.Fatal(err)
	}
	return l
}

// do sends d and returns when everything in it is done. XFRM works in the sender's context: all answers are
// there when the call returns.
func (l *loop) do(d *datagram) error {
	if err := unix.Send(l.fd, d.bytes, 0); err != nil {
		return os.NewSyscallError("send", err)
	}
	for range d.answers {
		n, err := unix.Read(l.fd, l.buf[:])
		if err != nil {
			return os.NewSyscallError("read", err)
		}
		const ack = unix.SizeofNlMsghdr + 4 // with struct nlmsgerr's errno
		if n < ack || binary.NativeEndian.Uint16(l.buf[4:]) != unix.NLMSG_ERROR {
			return errors.New("an answer that is no acknowledgement")
		}
		if errno := -int32(binary.NativeEndian.Uint32(l.buf[unix.SizeofNlMsghdr:])); errno != 0 {
			return fmt.Errorf("request %d of %d: %w", binary.NativeEndian.Uint32(l.buf[8:]), d.requests, unix.Errno(errno))
		}
	}
	return nil
}

// run takes group after group through its datagrams until the time is up, and returns how long each of them took.
func (l *loop) run(groups [][]datagram, limit time.Duration) (spans []time.Duration, err error) {
	spans = make([]time.Duration, 0, len(groups))
	start := time.Now()
	for _, g := range groups {
		since := time.Now()
		if since.Sub(start) > limit {
			break
		}
		for i := range g {
			if err := l.do(&g[i]); err != nil {
				return spans, fmt.Errorf("group %d, datagram %d: %w", len(spans), i, err)
			}
		}
		spans = append(spans, time.Since(since))
	}
	return spans, nil
}
