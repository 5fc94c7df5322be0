//go:build lab

package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// rewritten is the priority that rewrite gives a policy.
const rewritten = 900

// rewrite replaces the outbound policy of tunnel i, as its owner may at any time.
func rewrite(t *testing.T, i int, local netip.Addr) {
	t.Helper()
	if err := topo.Left.IP(fmt.Sprintf("xfrm policy update src 10.1.0.0/24 dst 10.2.%d.0/24 dir out priority %d tmpl src %v dst %s proto esp reqid %d mode tunnel\n",
		i, rewritten, local, peers[i], i+1)); err != nil {
		t.Fatal(err)
	}
}

// TestPoliciesAreRewrittenMeanwhile lets a neighbour use `ip xfrm policy` when the first tunnel has moved and the second has not. What is
// rewritten stays as its owner wants it, and goes along with its SAs.
func TestPoliciesAreRewrittenMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name string
		does func(*testing.T)
		code int
		says string
		// What the outbound policies are like in the end, by tunnel.
		locals     [2]netip.Addr
		priorities [2]uint32
	}{
		{"one that has not moved", func(t *testing.T) { rewrite(t, 1, topo.LeftISPA) },
			0, "computed again", [2]netip.Addr{topo.LeftISPB, topo.LeftISPB}, [2]uint32{1000, rewritten}},
		{"one that has moved", func(t *testing.T) { rewrite(t, 0, topo.LeftISPB) },
			0, "2 of 2 groups done", [2]netip.Addr{topo.LeftISPB, topo.LeftISPB}, [2]uint32{rewritten, 1000}},
		{"one that has moved and is undone", func(t *testing.T) { rewrite(t, 0, topo.LeftISPB); occupy(t, 1) },
			7, "left as they want it", [2]netip.Addr{topo.LeftISPB, topo.LeftISPA}, [2]uint32{rewritten, 1000}},
		{"one that has moved is deleted", func(t *testing.T) {
			if err := topo.Left.IP("xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out\n"); err != nil {
				t.Fatal(err)
			}
		}, 7, "deleted by somebody else", [2]netip.Addr{topo.LeftISPA, topo.LeftISPA}, [2]uint32{1000, 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			build(t)
			manual(t, peers)
			_, got := betweenWaves(t, func() { tt.does(t) })
			expect(t, got, tt.code, tt.says)
			after := snap(t)
			for i, peer := range peers {
				want := topo.Policy{
					Selector: fmt.Sprintf("src 10.1.0.0/24 dst 10.2.%d.0/24", i), Dir: "out", Action: "allow",
					Priority: tt.priorities[i], Template: fmt.Sprintf("%v > %s", tt.locals[i], peer),
				}
				if !slices.ContainsFunc(after.Policies, func(p topo.Policy) bool { p.Index = 0; return p == want }) {
					t.Errorf("there is no policy %+v", want)
				}
			}
			if len(after.Policies) != 6 {
				t.Errorf("%d policies, want 6", len(after.Policies))
			}
			if t.Failed() {
				t.Logf("%s\n%+v", got.Output, after.Policies)
			}
		})
	}
}

// TestOverrunOfNotificationsIsMadeUpFor stops the program while a neighbour deletes more SAs than the kernel can tell it of and then, which
// it can't tell either, sets one up at the addresses that a tunnel has just left: that one is found all the same and moved.
func TestOverrunOfNotificationsIsMadeUpFor(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough: 24,000 changes take a while")
	}
	build(t)
	manual(t, peers)
	const others = 12000 // of which the kernel keeps a kilobyte each, at least; the program's socket has room for eight megabytes
	var add, remove strings.Builder
	key := newKey()
	for i := range others {
		id := fmt.Sprintf("src 203.0.113.98 dst 203.0.113.99 proto esp spi 0x%x", 0x10000+i)
		fmt.Fprintf(&add, "xfrm state add %s reqid 98 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128\n", id, key)
		fmt.Fprintf(&remove, "xfrm state delete %s\n", id)
	}
	if err := topo.Left.IP(add.String()); err != nil {
		t.Fatal(err)
	}
	_, got := betweenWavesStopped(t, func() {
		if err := topo.Left.IP(remove.String()); err != nil {
			t.Fatal(err)
		}
		if drops(t) == 0 {
			t.Error("the kernel has dropped nothing")
		}
		if err := topo.Left.IP(fmt.Sprintf("xfrm state add src 192.0.2.1 dst %s proto esp spi 0x7777 reqid 1 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir out\n",
			peers[0], newKey())); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, got, 0)
	if !slices.ContainsFunc(snap(t).SAs, func(sa topo.SA) bool { return sa.SPI == 0x7777 && sa.Src == topo.LeftISPB }) {
		t.Errorf("the new SA was not moved\n%s", got.Output)
	}
}

// drops is how many notifications the kernel could not deliver to the XFRM sockets of the left gateway.
func drops(t *testing.T) (n int) {
	t.Helper()
	text, err := topo.Left.Run("cat", "/proc/net/netlink") // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 10 && f[1] == strconv.Itoa(unix.NETLINK_XFRM) {
			d, err := strconv.Atoi(f[8])
			if err != nil {
				t.Fatal(err)
			}
			n += d
		}
	}
	return n
}
