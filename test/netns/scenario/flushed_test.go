//go:build lab

package scenario

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestFlushedPoliciesAreBlockedAgain lets a neighbour flush the SPD between the waves: the first policies that come after that block both
// tunnels, the one that has moved and the one that has not. In the end all is as before.
func TestFlushedPoliciesAreBlockedAgain(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	l, err := topo.Listen(topo.Left)
	if err != nil {
		t.Fatal(err)
	}
	_, got := betweenWaves(t, func() {
		if _, err := topo.Left.Run("ip", "xfrm", "policy", "flush"); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, got, 7, "deleted by somebody else")
	if err := snap(t).Same(before); err != nil {
		t.Errorf("%v\n%s", err, got.Output)
	}
	heard, err := l.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if first := afterFlush(heard); len(first) < len(peers) || !first[0].IsValid() || !first[1].IsValid() || first[0] == first[1] {
		t.Errorf("after the flush came policies that block %v, want one for each tunnel first", first)
	}
}

// afterFlush lists what the policies block that came after the SPD was flushed.
func afterFlush(heard []topo.Notice) (first []netip.Addr) {
	flushed := false
	for _, n := range heard {
		flushed = flushed || n.Type == topo.MsgFlushPolicy
		if flushed && n.Type == topo.MsgNewPolicy {
			first = append(first, n.Block)
		}
	}
	return first
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
