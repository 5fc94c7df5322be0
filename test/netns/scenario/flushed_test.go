//go:build lab

package scenario

import (
	"fmt"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestFlushedPoliciesAreBlockedAgain lets a neighbour flush the SPD between the waves: both tunnels, the one that has moved and the one
// that has not, are blocked while the run still waits at its gate. In the end all is as before.
func TestFlushedPoliciesAreBlockedAgain(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	_, got := betweenWaves(t, func() {
		if _, err := topo.Left.Run("ip", "xfrm", "policy", "flush"); err != nil {
			t.Fatal(err)
		}
		if err := topo.Until(30*time.Second, func() (bool, error) {
			s, err := topo.Snap(topo.Left)
			return len(blocked(s)) == len(peers), err
		}); err != nil {
			t.Errorf("block policies %v, want one for each tunnel: %v", blocked(snap(t)), err)
		}
	})
	expect(t, got, 7, "deleted by somebody else")
	if err := snap(t).Same(before); err != nil {
		t.Errorf("%v\n%s", err, got.Output)
	}
}

// TestSAsAddedAtOldAddressesAreMovedAtTheEnd adds an SA as a re-key would, at the addresses that its Child SA has just left.
func TestSAsAddedAtOldAddressesAreMovedAtTheEnd(t *testing.T) {
	build(t)
	manual(t, peers)
	_, got := betweenWaves(t, func() {
		for _, sa := range snap(t).SAs {
			if sa.Src != topo.LeftISPB {
				continue
			}
			if err := topo.Left.IP(fmt.Sprintf("xfrm state add src 192.0.2.1 dst %s proto esp spi 0x7777 reqid %d mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir out\n",
				sa.Dst, sa.SPI-outSPI(0)+1, newKey())); err != nil {
				t.Fatal(err)
			}
		}
	})
	expect(t, got, 0)
	found := false
	for _, sa := range snap(t).SAs {
		found = found || sa.SPI == 0x7777 && sa.Src == topo.LeftISPB
	}
	if !found {
		t.Errorf("the new SA was not moved: %+v\n%s", snap(t).SAs, got.Output)
	}
}
