//go:build lab

package scenario

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// peers are the remote addresses of the tunnels that manual makes; their packets go nowhere.
var peers = []string{"203.0.113.1", "203.0.113.2"}

// manual installs tunnels without an IKE daemon on the left gateway, one to each of the peers: an SA each way, and policies in and out.
// Tunnel i has the reqid i+1 and the SPIs outSPI(i) and inSPI(i).
func manual(t *testing.T, peers []string) {
	t.Helper()
	manualIn(t, topo.Left, peers)
}

// manualIn is manual in any namespace that has the addresses.
func manualIn(t *testing.T, ns topo.Namespace, peers []string) {
	t.Helper()
	var script strings.Builder
	for i, peer := range peers {
		for _, sa := range []struct {
			src, dst string
			spi      uint32
			dir      string
		}{
			{"192.0.2.1", peer, outSPI(i), "out"},
			{peer, "192.0.2.1", inSPI(i), "in"},
		} {
			fmt.Fprintf(&script, "xfrm state add src %s dst %s proto esp spi 0x%08x reqid %d mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir %s\n",
				sa.src, sa.dst, sa.spi, i+1, newKey(), sa.dir)
		}
		local, remote := "10.1.0.0/24", fmt.Sprintf("10.2.%d.0/24", i)
		for _, p := range []struct{ src, dst, dir, from, to string }{
			{local, remote, "out", "192.0.2.1", peer},
			{remote, local, "in", peer, "192.0.2.1"},
			{remote, local, "fwd", peer, "192.0.2.1"},
		} {
			fmt.Fprintf(&script, "xfrm policy add src %s dst %s dir %s priority 1000 tmpl src %s dst %s proto esp reqid %d mode tunnel\n",
				p.src, p.dst, p.dir, p.from, p.to, i+1)
		}
	}
	if err := ns.IP(script.String()); err != nil {
		t.Fatal(err)
	}
}

func outSPI(i int) uint32 { return 0x1000 + uint32(i) }
func inSPI(i int) uint32  { return 0x2000 + uint32(i) }

// newKey makes a key for AES-GCM with 128 bits and its salt.
func newKey() []byte {
	key := make([]byte, 20)
	rand.Read(key)
	return key
}

// occupy installs a foreign SA at the tuple that the inbound SA of tunnel i would move to.
func occupy(t *testing.T, i int) {
	t.Helper()
	err := topo.Left.IP(fmt.Sprintf("xfrm state add src 203.0.113.99 dst %v proto esp spi 0x%08x reqid 99 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128\n",
		topo.LeftISPB, inSPI(i), newKey()))
	if err != nil {
		t.Fatal(err)
	}
}

// plan writes a plan that moves from one address to another, with more keys at its end.
func plan(t *testing.T, from, to, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.yaml")
	if !strings.Contains(more, "ike:") {
		more = "ike: {follow: none}\n" + more
	}
	text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %s, to: %s}]\n%s", from, to, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// fromOutside is the program started outside of the namespace that it works in.
func fromOutside(t *testing.T, before []string, plan string) *exec.Cmd {
	args := append(before, topo.Program, "apply", plan, "--yes", "--netns", string(topo.Left), "--state-dir", t.TempDir())
	return exec.Command(args[0], args[1:]...)
}
