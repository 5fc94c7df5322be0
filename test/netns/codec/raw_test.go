//go:build lab

package codec

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is in this file speaks netlink without package xfrm, so that a mistake there can't hide itself.

var ne = binary.NativeEndian

// socket opens an XFRM netlink socket in the namespace.
func (n *netns) socket() (fd int) {
	n.t.Helper()
	n.inside(func() {
		var err error
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
		if err != nil {
			n.t.Errorf("socket: %v", err)
		}
	})
	return fd
}

// inside calls f on a thread that is in the namespace. The thread ends with the goroutine that it was locked to.
func (n *netns) inside(f func()) {
	n.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread must not go back to the others
		err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		n.t.Fatalf("setns: %v", err)
	}
}

func send(t *testing.T, fd int, typ uint16, flags uint16, payload []byte) {
	t.Helper()
	b := ne.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint64(b, 1) // sequence number and port
	if err := unix.Sendto(fd, append(b, payload...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func parseMessages(b []byte) ([]syscall.NetlinkMessage, error) {
	return syscall.ParseNetlinkMessage(bytes.Clone(b))
}

// attr is a netlink attribute.
func attr(typ uint16, payload []byte) []byte {
	b := ne.AppendUint16(nil, uint16(4+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = append(b, payload...)
	return append(b, make([]byte, -len(b)&3)...)
}

func attr32(typ uint16, v uint32) []byte { return attr(typ, ne.AppendUint32(nil, v)) }
