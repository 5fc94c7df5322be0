package topo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Multicast groups of the XFRM netlink family (enum xfrm_nlgroups of include/uapi/linux/xfrm.h).
const (
	groupAcquire = 1
	groupSA      = 3
	groupPolicy  = 4
	groupMigrate = 7
)

// Types of notifications that are counted one by one.
const (
	MsgNewPolicy    = 0x13
	MsgAcquire      = 0x17
	MsgFlushPolicy  = 0x1d
	MsgMigrateState = 0x29
)

// Notice is a notification of the kernel's.
type Notice struct {
	At    time.Time
	Type  uint16
	SPI   uint32 // of MsgMigrateState: struct xfrm_user_migrate_state begins with the SA's id
	Block string // of MsgNewPolicy: what a block policy is over, "out 10.2.0.0 10.1.0.0" (direction, destination, source); empty for any other policy
}

// String names the notice for people.
func (n Notice) String() string {
	switch n.Type {
	case MsgAcquire:
		return "ACQUIRE"
	case MsgMigrateState:
		return fmt.Sprintf("MIGRATE_STATE 0x%08x", n.SPI)
	}
	return fmt.Sprintf("XFRM message 0x%02x", n.Type)
}

// Listener hears what the kernel says of SAs, policies, migrations and acquires in one namespace. It reads the socket with nothing but
// system calls, so that it can't share an error with what it watches.
type Listener struct {
	socket *os.File
	done   chan struct{}
	hear   func(Notice)

	mu      sync.Mutex // guards what follows
	notices []Notice
	err     error
}

// Listen starts a Listener.
func Listen(ns Namespace) (*Listener, error) { return ListenWith(ns, func(Notice) {}) }

// ListenWith starts a Listener that also tells of each notice when it comes, on a goroutine of its own.
func ListenWith(ns Namespace, hear func(Notice)) (*Listener, error) {
	l := &Listener{done: make(chan struct{}), hear: hear}
	err := ns.Enter(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_XFRM)
		if err != nil {
			return fmt.Errorf("netlink socket: %w", err)
		}
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		for _, g := range []int{groupAcquire, groupSA, groupPolicy, groupMigrate} {
			err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g))
		}
		l.socket = os.NewFile(uintptr(fd), "xfrm notifications of "+string(ns))
		return err
	})
	if err != nil {
		return nil, err
	}
	go l.read()
	return l, nil
}

func (l *Listener) read() {
	defer close(l.done)
	// Larger than any notification: the kernel cuts off what doesn't fit.
	buf := make([]byte, 1<<16)
	for {
		n, err := l.socket.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		l.mu.Lock()
		if err != nil {
			l.err = err // ENOBUFS too: what was lost can't be counted
			l.mu.Unlock()
			return
		}
		heard := notices(buf[:n])
		l.notices = append(l.notices, heard...)
		l.mu.Unlock()
		for _, n := range heard {
			l.hear(n)
		}
	}
}

// notices takes the messages of a datagram apart: struct nlmsghdr has the length in its first four bytes and the type in the next two.
func notices(b []byte) (all []Notice) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			break
		}
		n := Notice{At: time.Now(), Type: binary.NativeEndian.Uint16(b[4:])}
		// struct xfrm_usersa_id: 16 bytes of address, then the SPI in network order.
		if body := b[unix.SizeofNlMsghdr:size]; n.Type == MsgMigrateState && len(body) >= 20 {
			n.SPI = binary.BigEndian.Uint32(body[16:])
		} else if n.Type == MsgNewPolicy {
			n.Block = blockOver(body)
		}
		all = append(all, n)
		b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return all
}

// blockOver takes struct xfrm_userpolicy_info apart, which begins with the selector and the selector with destination and source.
func blockOver(body []byte) string {
	const family, dir, action, size = 40, 160, 161, 168
	if len(body) < size || body[action] != 1 { // XFRM_POLICY_BLOCK
		return ""
	}
	names := [...]string{"in", "out", "fwd"}
	if body[family] == unix.AF_INET {
		return fmt.Sprint(names[body[dir]%3], " ", netip.AddrFrom4([4]byte(body[:4])), " ", netip.AddrFrom4([4]byte(body[16:20])))
	}
	return fmt.Sprint(names[body[dir]%3], " ", netip.AddrFrom16([16]byte(body[:16])), " ", netip.AddrFrom16([16]byte(body[16:32])))
}

// Stop ends the listening and returns what was heard. The kernel queues a notification before the request that caused it returns, so
// that a short time to empty the queue is enough.
func (l *Listener) Stop() ([]Notice, error) {
	if err := l.socket.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return nil, err
	}
	<-l.done
	l.socket.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notices, l.err
}
