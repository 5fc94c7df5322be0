//go:build lab

package scenario

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// sealed captures what the left gateway sends by either ISP until the returned function is called, which fails the test if any of it is in the clear
// (TestCapturesSeeCleartext shows that it would be seen).
func sealed(t *testing.T) (done func()) {
	t.Helper()
	dir := t.TempDir()
	var captures []*topo.Capture
	for _, iface := range topo.LeftUplinks {
		c, err := topo.StartCapture(iface, filepath.Join(dir, iface))
		if err != nil {
			t.Fatal(err)
		}
		captures = append(captures, c)
	}
	return func() {
		t.Helper()
		seen := 0
		for _, c := range captures {
			packets, err := c.Stop()
			if err != nil {
				t.Error(err)
			}
			seen += len(packets)
			for i := range packets {
				if packets[i].Inner() {
					t.Errorf("in the clear: %+v", packets[i])
				}
			}
		}
		if seen == 0 {
			t.Error("nothing was captured")
		}
	}
}

// pinging sends pings into the tunnels of manual while something is done. Nobody answers. It begins when each tunnel has taken some.
func pinging(t *testing.T, do func()) {
	t.Helper()
	for i := range peers {
		p, err := topo.StartPing(fmt.Sprintf("10.2.%d.10", i))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
	}
	if err := topo.Until(20*time.Second, func() (bool, error) {
		sas, err := topo.Left.SAD()
		taken := 0
		for _, sa := range sas {
			for i := range peers {
				if sa.SPI == outSPI(i) && sa.Packets > 0 {
					taken++
				}
			}
		}
		return taken == len(peers), err
	}); err != nil {
		t.Fatalf("the tunnels take no pings: %v", err)
	}
	do()
}
