//go:build lab

package scenario

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestCapturesSeeCleartext shows that the other scenarios would see a leak: without a tunnel the pings leave as they are.
func TestCapturesSeeCleartext(t *testing.T) {
	build(t)
	dir := t.TempDir()
	var captures []*topo.Capture
	for _, iface := range topo.LeftUplinks {
		c, err := topo.StartCapture(iface, filepath.Join(dir, iface))
		if err != nil {
			t.Fatal(err)
		}
		captures = append(captures, c)
	}
	for _, to := range []string{topo.Client4, topo.Client6} {
		// It fails for want of an answer.
		topo.LeftLAN.Command("ping", "-c", "3", "-i", "0.1", "-W", "1", to).Run()
	}
	leaked := make(map[netip.Addr]int)
	for _, c := range captures {
		packets, err := c.Stop()
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets {
			if packets[i].Inner() {
				leaked[packets[i].Dst]++
			}
		}
	}
	for _, to := range []string{topo.Client4, topo.Client6} {
		if leaked[netip.MustParseAddr(to)] == 0 {
			t.Errorf("no packet to %s was captured; seen %v", to, leaked)
		}
	}
}
