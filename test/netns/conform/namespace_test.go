//go:build lab

package conform

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest/conformance"
)

// namespace is a network namespace of the running kernel.
type namespace struct {
	t  testing.TB
	fd int
}

// newNamespace makes a network namespace that lasts as long as the test.
func newNamespace(t testing.TB) conformance.Namespace {
	t.Helper()
	type result struct {
		fd  int
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: err}
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		made <- result{fd, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatalf("make a network namespace: %v", r.err)
	}
	t.Cleanup(func() { unix.Close(r.fd) })
	return &namespace{t, r.fd}
}

func (n *namespace) Dial() *xfrm.Conn {
	n.t.Helper()
	c, err := xfrm.Dial(xfrm.NetNS(n.fd))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

func (n *namespace) Monitor(groups ...uint32) *xfrm.Monitor {
	n.t.Helper()
	m, err := xfrm.DialMonitor(xfrm.NetNS(n.fd), groups...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { m.Close() })
	return m
}

// Socket opens a bare socket, for what a Conn never does.
func (n *namespace) Socket() xfrm.Socket {
	n.t.Helper()
	c, err := netlink.Dial(unix.NETLINK_XFRM, &netlink.Config{NetNS: n.fd})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	for _, o := range []netlink.ConnOption{netlink.ExtendedAcknowledge, netlink.CapAcknowledge} {
		if err := c.SetOption(o, true); err != nil {
			n.t.Fatal(err)
		}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		n.t.Fatal(err)
	}
	return &bare{c, raw}
}

type bare struct {
	c   *netlink.Conn
	raw syscall.RawConn
}

func (b *bare) control(f func(fd int) error) (err error) {
	if cerr := b.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

func (b *bare) Send(p []byte) error {
	return b.control(func(fd int) error { return unix.Sendto(fd, p, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) })
}

func (b *bare) Receive(p []byte) (n int, err error) {
	err = b.control(func(fd int) (err error) {
		n, _, err = unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		return err
	})
	return max(n, 0), err
}

func (b *bare) Wait(time.Time) error { return nil } // XFRM answers before Send returns
func (b *bare) Join(g uint32) error  { return b.c.JoinGroup(g) }
func (b *bare) Close() error         { return b.c.Close() }

func (b *bare) Cookie() (cookie uint64, err error) {
	err = b.control(func(fd int) (err error) {
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	return cookie, err
}
