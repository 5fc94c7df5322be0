package xfrm

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Socket carries netlink datagrams to and from a kernel: the running one (Dial), or the one in memory of package
// xfrmtest. It is used by one goroutine at a time.
type Socket interface {
	// Send hands a datagram of requests to the kernel, which has acted on all of them when Send returns: XFRM works
	// in the sender's context. After an error none was acted on.
	Send(b []byte) error

	// Receive reads one datagram into b without waiting and returns its length. EAGAIN means that there is none,
	// ENOBUFS that some were lost, EMSGSIZE that this one did not fit and has lost its end.
	Receive(b []byte) (int, error)

	// Wait waits until there is something to receive; os.ErrDeadlineExceeded says that there was nothing in time. The
	// zero time waits without limit. Close, which may come from another goroutine, ends it with os.ErrClosed.
	Wait(until time.Time) error

	// Join subscribes to a multicast group (Group...).
	Join(group uint32) error

	// Cookie identifies the network namespace (SO_NETNS_COOKIE): unique until the machine restarts.
	Cookie() (uint64, error)

	Close() error
}

// receiveBuffer has room for the acknowledgements of a whole batch (about 1 KiB of kernel memory each) and for
// notifications while the reader is busy. The kernel's default of 208 KiB overflows at about 270 of either.
const receiveBuffer = 4 << 20

// kernelSocket is a netlink socket of the running kernel. mdlayher/netlink opens, binds and configures it. Sending and
// receiving are done here, because that package's Receive leaves copies of what it read in memory that nobody clears,
// and prints whole messages, keys included, if NLDEBUG is set in the environment.
type kernelSocket struct {
	nl     *netlink.Conn
	raw    syscall.RawConn
	closed atomic.Bool
	ahead  *readAhead
}

// NetNS tells Dial which network namespace to work in: an open file descriptor of it, or 0 for the current one.
type NetNS int

// DialSocket opens an XFRM netlink socket of the running kernel, for a Conn around something that wraps it.
func DialSocket(ns NetNS) (Socket, error) { return dialKernel(ns, datagramsAhead) }

// dialKernel opens an XFRM netlink socket that reads so many datagrams ahead.
func dialKernel(ns NetNS, ahead int) (*kernelSocket, error) {
	nl, err := netlink.Dial(unix.NETLINK_XFRM, &netlink.Config{NetNS: int(ns)})
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil, fmt.Errorf("%w (%w)", ErrNoXFRM, err)
		}
		if ns != 0 && errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("to work in another network namespace takes CAP_SYS_ADMIN: run as root: %w", err)
		}
		return nil, fmt.Errorf("open an XFRM netlink socket: %w", err)
	}
	s := &kernelSocket{nl: nl, ahead: newReadAhead(ahead)}
	if err := s.configure(); err != nil {
		nl.Close()
		return nil, fmt.Errorf("configure the XFRM netlink socket: %w", err)
	}
	return s, nil
}

func (s *kernelSocket) configure() (err error) {
	if s.raw, err = s.nl.SyscallConn(); err != nil {
		return err
	}
	for _, o := range []netlink.ConnOption{netlink.ExtendedAcknowledge, netlink.CapAcknowledge} {
		if err := s.nl.SetOption(o, true); err != nil {
			return err
		}
	}
	// SO_RCVBUFFORCE needs CAP_NET_ADMIN, as everything here does; without it the plain option is as good as it gets.
	if err := s.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	}); err != nil {
		return s.nl.SetReadBuffer(receiveBuffer)
	}
	return nil
}

func (s *kernelSocket) control(f func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return s.rawError(cerr)
	}
	return err
}

func (s *kernelSocket) Send(b []byte) error {
	var err error
	if werr := s.raw.Write(func(fd uintptr) bool {
		err = unix.Send(int(fd), b, 0) // without an address it goes to the kernel
		return !errors.Is(err, unix.EAGAIN)
	}); werr != nil {
		return s.rawError(werr)
	}
	return os.NewSyscallError("sendto", err)
}

func (s *kernelSocket) Receive(b []byte) (int, error) {
	if err := s.receiveAhead(); err != nil {
		return 0, err
	}
	return s.ahead.take(b)
}

// lend is Receive without the copy; see readAhead.
func (s *kernelSocket) lend() ([]byte, error) {
	if err := s.receiveAhead(); err != nil {
		return nil, err
	}
	return s.ahead.lend()
}

// receiveAhead sees to it that there is a datagram to take.
func (s *kernelSocket) receiveAhead() error {
	switch {
	case s.ahead.empty():
		// Not raw.Read: that would fail for a deadline of an earlier Wait.
		return s.control(s.ahead.fill)
	case s.closed.Load():
		return os.ErrClosed
	}
	return nil
}

func (s *kernelSocket) Wait(until time.Time) error {
	if !s.ahead.empty() {
		return nil
	}
	if err := s.nl.SetReadDeadline(until); err != nil {
		return err
	}
	// Asking the kernel, not counting wake-ups: what arrived after the last Receive and before this Read wakes no one.
	return s.rawError(s.raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	}))
}

// rawError gives os.ErrClosed its name: what a syscall.RawConn returns after Close is an internal error of the runtime.
func (s *kernelSocket) rawError(err error) error {
	if err != nil && s.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (s *kernelSocket) Join(group uint32) error { return s.nl.JoinGroup(group) }

func (s *kernelSocket) Cookie() (cookie uint64, err error) {
	err = s.control(func(fd int) error {
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return os.NewSyscallError("getsockopt SO_NETNS_COOKIE", err)
	})
	return cookie, err
}

func (s *kernelSocket) Close() error {
	s.closed.Store(true)
	return s.nl.Close()
}
