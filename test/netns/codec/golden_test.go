//go:build lab

package codec

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// goldenCommands are recorded in testdata/ip, by file name: the request that ip sends for the last of the commands. The
// tests of package xfrm compare their own requests with them on any machine.
var goldenCommands = []struct {
	name     string
	commands []string
}{
	{"policy-add", []string{
		"xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 mark 0x10 mask 0xff if_id 7 ptype main" +
			" tmpl src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode tunnel",
	}},
	{"policy-add-ipcomp", []string{
		"xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 proto tcp sport 80 dport 443 dev lo dir fwd priority 100" +
			" tmpl src 192.0.2.1 dst 203.0.113.1 proto comp reqid 1 mode tunnel level use tmpl proto esp reqid 1 mode transport",
	}},
	{"policy-update-block", []string{
		"xfrm policy update src 2001:db8:1::/64 dst 2001:db8:2::/64 dir in action block index 0x88 priority 5 flag icmp flag localok" +
			" limit time-hard 4000 limit byte-soft 5000",
	}},
	{"policy-delete-index", []string{
		"xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out index 0x89 mark 0x10 mask 0xff if_id 7",
		"xfrm policy delete index 0x89 dir out mark 0x10 mask 0xff if_id 7",
	}},
	{"policy-get-index", []string{
		"xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out index 0x89 ptype sub",
		"xfrm policy get index 0x89 dir out ptype sub",
	}},
	{"state-add", []string{
		"xfrm state add " + v4 + "proto esp spi 0x1001 reqid 1 mode tunnel " + gcm + " mark 0x10 mask 0xff output-mark 0x20 mask 0xf0" +
			" if_id 7 flag esn replay-window 64 replay-seq 5 encap espinudp 4500 4501 0.0.0.0 sel src 10.1.0.0/24 dst 10.2.0.0/24 dir in",
	}},
}

func TestGoldensAreWhatIPSends(t *testing.T) {
	for _, c := range goldenCommands {
		t.Run(c.name, func(t *testing.T) {
			n := newNetNS(t)
			last := len(c.commands) - 1
			for _, cmd := range c.commands[:last] {
				n.ip(cmd)
			}
			wire := n.captureRequests(func() { n.ip(c.commands[last]) })
			if len(wire) != 1 {
				t.Fatalf("ip sent %d XFRM requests, want 1", len(wire))
			}
			// The flags beside the payload and the length, sequence number and port are the sender's affair.
			var b strings.Builder
			fmt.Fprintf(&b, "# ip %s\n", c.commands[last])
			fmt.Fprintf(&b, "type %#x\n", ne.Uint16(wire[0][4:]))
			for payload := wire[0][unix.SizeofNlMsghdr:]; len(payload) > 0; payload = payload[min(16, len(payload)):] {
				fmt.Fprintln(&b, hex.EncodeToString(payload[:min(16, len(payload))]))
			}
			file := filepath.Join("testdata", "ip", c.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%swant\n%s", &b, want)
			}
		})
	}
}

// captureRequests records what is sent to XFRM in the namespace while f runs, with nlmon, the network device that shows
// netlink messages.
func (n *netns) captureRequests(f func()) (requests [][]byte) {
	n.t.Helper()
	n.ip("link add nlmon0 type nlmon")
	n.ip("link set nlmon0 up")
	var fd int
	n.inside(func() {
		nlmon, err := net.InterfaceByName("nlmon0")
		if err != nil {
			n.t.Error(err)
			return
		}
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all); err != nil {
			n.t.Errorf("packet socket: %v", err)
			return
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: nlmon.Index}); err != nil {
			n.t.Errorf("bind to nlmon0: %v", err)
		}
	})
	defer unix.Close(fd)
	f()
	for b := make([]byte, 1<<16); ; {
		k, from, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EAGAIN {
			return requests
		}
		if err != nil {
			n.t.Fatal(err)
		}
		const xfrmInNetworkOrder = unix.NETLINK_XFRM << 8
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Protocol != xfrmInNetworkOrder {
			continue
		}
		if ne.Uint16(b[6:])&unix.NLM_F_REQUEST != 0 && ne.Uint32(b) == uint32(k) {
			requests = append(requests, bytes.Clone(b[:k]))
		}
	}
}
