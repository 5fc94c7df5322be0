package xfrm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// readAhead receives several datagrams with one system call: each message that the kernel answers is a datagram of its
// own, and a call for each costs as much as the kernel's work for the smaller ones.
//
// A Conn reads all the answers that there are, so that nothing with keys in it stays here. A Monitor may be closed at any
// time, and reads one notification after the other.
type readAhead struct {
	bufs       [][]byte
	iovs       []unix.Iovec
	hdrs       []mmsghdr
	next, have int
}

// datagramsAhead takes all the answers to what the engine asks about a tunnel at once. Each has room for maxDatagram,
// of which the system only provides what has been used.
const datagramsAhead = 32

// mmsghdr is struct mmsghdr of <sys/socket.h>.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newReadAhead(datagrams int) *readAhead {
	r := &readAhead{bufs: make([][]byte, datagrams), iovs: make([]unix.Iovec, datagrams), hdrs: make([]mmsghdr, datagrams)}
	all := make([]byte, datagrams*maxDatagram)
	for i := range r.bufs {
		r.bufs[i] = all[i*maxDatagram : (i+1)*maxDatagram]
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(maxDatagram)
		r.hdrs[i].hdr.Iov = &r.iovs[i]
		r.hdrs[i].hdr.SetIovlen(1)
	}
	return r
}

func (r *readAhead) empty() bool { return r.next == r.have }

// fill receives without waiting, until there is nothing more or no room. golang.org/x/sys/unix has no recvmmsg. An error
// that comes behind datagrams is kept by the kernel for the next call (__sys_recvmmsg).
func (r *readAhead) fill(fd int) error {
	r.next, r.have = 0, 0
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(len(r.hdrs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return errno
	}
	r.have = int(n)
	return nil
}

// lend returns the next datagram where it lies. The borrower clears it before anything else is received.
func (r *readAhead) lend() ([]byte, error) {
	h := &r.hdrs[r.next]
	b := r.bufs[r.next][:h.len]
	r.next++
	if h.hdr.Flags&unix.MSG_TRUNC != 0 {
		return b, unix.EMSGSIZE
	}
	return b, nil
}

// take moves the next datagram into b.
func (r *readAhead) take(b []byte) (int, error) {
	from, err := r.lend()
	n := copy(b, from)
	clear(from)
	if n < len(from) {
		return n, unix.EMSGSIZE
	}
	return n, err
}
