//go:build lab

package engine

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// applyMessages counts what apply sends to XFRM for one Child SA, as nlmon shows it: what n of them need more than m,
// which leaves out what each run needs once.
func applyMessages(t *testing.T, m, n int) int {
	t.Helper()
	var few, many int
	t.Run(fmt.Sprintf("count/%d", m), func(t *testing.T) { few = applyRequests(t, m) })
	t.Run(fmt.Sprintf("count/%d", n), func(t *testing.T) { many = applyRequests(t, n) })
	if (many-few)%(n-m) != 0 {
		t.Fatalf("%d messages for %d Child SAs, %d for %d: not the same for each", few, m, many, n)
	}
	return (many - few) / (n - m)
}

func applyRequests(t *testing.T, n int) (requests int) {
	h := newHub(t, result.PolicyBased, n)
	fd := h.capture()
	defer unix.Close(fd)
	if _, err := h.apply(1); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1<<17); ; {
		k, from, err := unix.Recvfrom(fd, b, 0)
		if errors.Is(err, unix.EAGAIN) {
			return requests
		}
		if err != nil {
			t.Fatal(err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Protocol != networkOrder(unix.NETLINK_XFRM) {
			continue
		}
		if err := xfrm.EachMessage(b[:k], func(m xfrm.Message) error {
			if m.Flags&unix.NLM_F_REQUEST != 0 {
				requests++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// capture opens a packet socket on a network device that shows the namespace's netlink messages.
func (h *hub) capture() (fd int) {
	h.t.Helper()
	run(h.t, "ip", "-n", nsName, "link", "add", "nlmon0", "type", "nlmon")
	run(h.t, "ip", "-n", nsName, "link", "set", "nlmon0", "up")
	opened := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Setns(int(h.ns.FD()), unix.CLONE_NEWNET)
		if err == nil {
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(networkOrder(unix.ETH_P_ALL)))
		}
		if err == nil { // room for everything: nobody reads before the end
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
		}
		opened <- err
	}()
	if err := <-opened; err != nil {
		h.t.Fatal(err)
	}
	return fd
}

func networkOrder(n uint16) uint16 { return n<<8 | n>>8 }
