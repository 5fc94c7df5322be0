//go:build lab

package crash

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// marker is the IP protocol of injected packets, one of those for experiments (RFC 3692): nothing else has it.
const marker = 253

// injectEvery is between two injected packets.
const injectEvery = 5 * time.Millisecond

// An injector sits between the gateways and sends the left one packets of the inner networks in the clear: from the clients that the
// tunnels lead to, over either uplink, to the client behind the gateway and to the gateway itself. Each tunnel's inbound and
// forward policies have to refuse them, at every moment.
type injector struct {
	sent     atomic.Int64
	accepted atomic.Int64 // by the gateway for itself; what it forwards a capture shows
}

// uplink is one way to the left gateway.
type uplink struct {
	index int
	mac   net.HardwareAddr // of the gateway's end
}

func startInjector(t *testing.T, tunnels int) *injector {
	t.Helper()
	in := new(injector)
	var closing []int
	var running sync.WaitGroup
	quit := make(chan struct{})
	t.Cleanup(func() {
		close(quit)
		for _, fd := range closing {
			unix.Shutdown(fd, unix.SHUT_RDWR)
		}
		running.Wait()
		for _, fd := range closing {
			unix.Close(fd)
		}
	})
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		var fd int
		if err := topo.Left.Enter(func() (err error) {
			fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, marker)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		closing = append(closing, fd)
		running.Go(func() { in.count(fd) })
	}
	var uplinks []uplink
	for i, name := range []string{"wan-a", "wan-b"} {
		mac, err := topo.Left.Run("cat", "/sys/class/net/"+name+"/address")
		if err != nil {
			t.Fatal(err)
		}
		u := uplink{}
		if u.mac, err = net.ParseMAC(strings.TrimSpace(mac)); err != nil {
			t.Fatal(err)
		}
		if err := topo.Wire.Enter(func() error {
			iface, err := net.InterfaceByName(topo.LeftUplinks[i])
			if err == nil {
				u.index = iface.Index
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		uplinks = append(uplinks, u)
	}
	var fd int
	if err := topo.Wire.Enter(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		defer unix.Close(fd)
		in.send(fd, uplinks, tunnels, quit)
	})
	return in
}

// count counts what the gateway takes for itself, until the socket is shut down.
func (in *injector) count(fd int) {
	b := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		switch {
		case err == unix.EINTR:
		case err != nil || n == 0:
			return
		default:
			in.accepted.Add(1)
		}
	}
}

func (in *injector) send(fd int, uplinks []uplink, tunnels int, quit <-chan struct{}) {
	tick := time.NewTicker(injectEvery)
	defer tick.Stop()
	to := [2][2]netip.Addr{
		{netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.1.0.1")},
		{netip.MustParseAddr("fd01::10"), netip.MustParseAddr("fd01::1")},
	}
	for i := 0; ; i++ {
		select {
		case <-quit:
			return
		case <-tick.C:
		}
		family, which, up := i%2, i/2%2, &uplinks[i/4%2]
		src := client(i/8%tunnels, family == 1)
		at := unix.SockaddrLinklayer{Ifindex: up.index, Halen: 6, Protocol: networkOrder(unix.ETH_P_IP)}
		packet := ipv4
		if family == 1 {
			at.Protocol, packet = networkOrder(unix.ETH_P_IPV6), ipv6
		}
		copy(at.Addr[:], up.mac)
		if unix.Sendto(fd, packet(src, to[family][which]), 0, &at) == nil {
			in.sent.Add(1)
		}
	}
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// ipv4 is a packet of eight bytes, as RFC 791 has it.
func ipv4(src, dst netip.Addr) []byte {
	b := make([]byte, 28)
	b[0], b[8], b[9] = 4<<4|5, 64, marker
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return b
}

// ipv6 is a packet of eight bytes, as RFC 8200 has it.
func ipv6(src, dst netip.Addr) []byte {
	b := make([]byte, 48)
	b[0], b[5], b[6], b[7] = 6<<4, 8, marker, 64
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return b
}
