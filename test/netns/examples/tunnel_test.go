//go:build lab

package examples

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// tunnel is a Child SA without an IKE daemon: an SA each way, and policies in, out and fwd for each pair of inner prefixes. Both gateways
// have the same SPIs, keys and reqid.
type tunnel struct {
	reqid int
	left  string      // the left gateway's address
	seen  string      // what the right gateway sees of it, if that is another one
	right string      // the right gateway's address
	inner [][2]string // prefixes of the left and the right network
	mode  string      // tunnel if empty
	keys  [2][]byte   // to the right and to the left; install makes some if there are none

	saWords, policyWords string // more of `ip xfrm`, for every SA and every policy
}

// dualStack are the networks of topo.Drawing.
var dualStack = [][2]string{{"10.1.0.0/24", "10.2.0.0/24"}, {"fd01::/64", "fd02::/64"}}

// install sets tunnels up, on both gateways or on the one that is named: then the other end is nowhere.
func install(t *testing.T, tunnels []tunnel, on ...topo.Namespace) {
	t.Helper()
	if len(on) == 0 {
		on = topo.Gateways[:]
	}
	scripts := make(map[topo.Namespace]*strings.Builder)
	for _, ns := range on {
		scripts[ns] = new(strings.Builder)
	}
	for i := range tunnels {
		if tunnels[i].keys[0] == nil {
			tunnels[i].keys = [2][]byte{newKey(), newKey()}
		}
		for ns, script := range scripts {
			tunnels[i].write(script, ns)
		}
	}
	for ns, script := range scripts {
		if err := ns.IP(script.String()); err != nil {
			t.Fatal(err)
		}
	}
}

// write appends the commands for one gateway.
func (tn *tunnel) write(script *strings.Builder, ns topo.Namespace) {
	local, remote, dirs := tn.left, tn.right, [2]string{"out", "in"}
	if ns == topo.Right {
		local, remote, dirs = tn.right, cmp.Or(tn.seen, tn.left), [2]string{"in", "out"}
	}
	mode := cmp.Or(tn.mode, "tunnel")
	for i, key := range tn.keys {
		src, dst, window := local, remote, 0
		if dirs[i] == "in" {
			src, dst, window = remote, local, 32
		}
		fmt.Fprintf(script, "xfrm state add src %s dst %s proto esp spi 0x%08x reqid %d mode %s replay-window %d dir %s aead rfc4106(gcm(aes)) 0x%x 128 %s\n",
			src, dst, tn.spi(i), tn.reqid, mode, window, dirs[i], key, tn.saWords)
	}
	for _, pair := range tn.inner {
		here, there := pair[0], pair[1]
		if ns == topo.Right {
			here, there = there, here
		}
		for _, dir := range []string{"out", "in", "fwd"} {
			src, dst, from, to := here, there, local, remote
			if dir != "out" {
				src, dst, from, to = there, here, remote, local
			}
			outer := fmt.Sprintf("src %s dst %s", from, to)
			if mode == "transport" {
				outer = "" // those of the packet
			}
			fmt.Fprintf(script, "xfrm policy add src %s dst %s dir %s priority 1000 %s tmpl %s proto esp reqid %d mode %s\n",
				src, dst, dir, tn.policyWords, outer, tn.reqid, mode)
		}
	}
}

// spi gives the SPI to the right (0) or to the left (1).
func (tn *tunnel) spi(direction int) uint32 {
	return 0x1000*uint32(direction+1) + uint32(tn.reqid)
}

// newKey makes a key for AES-GCM with 128 bits and its salt.
func newKey() []byte {
	key := make([]byte, 20)
	rand.Read(key)
	return key
}
