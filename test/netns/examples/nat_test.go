//go:build lab

package examples

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// natAddress is the wire's, behind which the left gateway is hidden at first.
const natAddress = "203.0.113.254"

// natPort is where ESP in UDP goes (RFC 3948).
const natPort = 4500

var natRemoval = situation{
	name:  "a gateway leaves its NAT",
	plans: map[topo.Namespace]string{topo.Left: "nat-removal.yaml", topo.Right: "nat-removal-peer.yaml"},
	setUp: func(t *testing.T, _ *topo.Network) {
		const rules = "add table ip nat; add chain ip nat out { type nat hook postrouting priority srcnat; };" +
			" add rule ip nat out ip saddr 192.0.2.0/24 masquerade"
		if out, err := topo.Wire.Run("nft", rules); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, ns := range topo.Gateways {
			decapsulate(t, ns)
		}
		tunnels := []tunnel{{
			reqid: 1, left: "192.0.2.1", seen: natAddress, right: "203.0.113.1", inner: dualStack,
			saWords: "flag af-unspec encap espinudp 4500 4500 0.0.0.0",
		}}
		install(t, tunnels)
		keepAlive(t, &tunnels[0])
	},
	pings: both4and6,
	quiet: func(*testing.T, bool) {
		time.Sleep(2500 * time.Millisecond) // the kernel keeps a mapping alive only while there is nothing to send
	},
	moved: func(ns topo.Namespace, shown string) string {
		old := "192.0.2.1"
		if ns == topo.Right {
			old = natAddress
		}
		return strings.NewReplacer(old, "198.51.100.1", "\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0\n", "").Replace(shown)
	},
	look: func(t *testing.T, seen *seen) {
		before, after := 0, 0
		for i := range seen.packets {
			switch p := &seen.packets[i]; {
			case isKeepalive(p) && p.At.Before(seen.start):
				before++
			case p.Proto == unix.IPPROTO_UDP && p.At.After(seen.end):
				after++
			}
		}
		if before == 0 || after != 0 {
			t.Errorf("%d keepalives before and %d UDP packets after, want some and none", before, after)
		}
	},
}

// isKeepalive is about the one byte 0xff of RFC 3948, section 2.3, after a UDP header.
func isKeepalive(p *topo.Packet) bool {
	const header = 8
	return p.Proto == unix.IPPROTO_UDP && slices.Equal(p.Payload[min(len(p.Payload), header):], []byte{0xff})
}

// decapsulate opens the socket that an IKE daemon has for ESP in UDP: without it the kernel does not look into such packets.
func decapsulate(t *testing.T, ns topo.Namespace) {
	t.Helper()
	const udpEncap, udpEncapESPinUDP = 100, 2 // <linux/udp.h>
	err := ns.Enter(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return errors.Join(
			os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpEncap, udpEncapESPinUDP)),
			os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Port: natPort})),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// keepAlive installs the left gateway's outbound SA anew with a keepalive every second, which `ip xfrm` can neither set nor show.
func keepAlive(t *testing.T, tn *tunnel) {
	t.Helper()
	const afUnspec = 32 // XFRM_STATE_AF_UNSPEC of <linux/xfrm.h>
	local, remote := topo.LeftISPA, topo.RightISP
	sa := xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(remote), SPI: xfrm.SPI(tn.spi(0)), Family: xfrm.FamilyOf(remote), Proto: xfrm.ProtoESP},
		Src: xfrm.AddressFrom(local), Limits: xfrm.NoLimits, Reqid: uint32(tn.reqid), Mode: xfrm.ModeTunnel, Flags: afUnspec,
		Encap: xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: natPort, DPort: natPort},
		Dir:   xfrm.SADirOut, NATKeepalive: 1, CPU: xfrm.AnyCPU,
	}
	err := topo.Left.Enter(func() error {
		c, err := xfrm.Dial(0)
		if err != nil {
			return err
		}
		defer c.Close()
		alg := xfrmtest.Algorithms{AEAD: &xfrmtest.Algorithm{Name: "rfc4106(gcm(aes))", Key: tn.keys[0], ICV: 128}}
		return errors.Join(c.Do(xfrmtest.DeleteSA(sa.ID, xfrm.Mark{}), xfrmtest.NewSA(sa, alg))...)
	})
	if err != nil {
		t.Fatal(err)
	}
}
