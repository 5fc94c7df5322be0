//go:build lab

package scenario

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestFlushedPoliciesAreBlockedAgain lets a neighbour flush the SPD between the waves: the first policies that come after that block every direction of both
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
	first := afterFlush(heard)
	first = first[:min(len(first), 3*len(peers))]
	blocks := make(map[string]bool)
	for _, b := range first {
		blocks[b] = true
	}
	if len(blocks) != 3*len(peers) || blocks[""] {
		t.Errorf("after the flush came policies that block %q, want each direction of each tunnel first", first)
	}
}

// TestFlushAmidAWave flushes the SPD while groups are moved one after the other: whatever the run is doing with each of them at that moment, it ends,
// undoes what it has done, and every policy is back.
func TestFlushAmidAWave(t *testing.T) {
	build(t)
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("203.0.113.%d", i+1)
	}
	manual(t, many)
	before := snap(t)
	heard := make(chan struct{}, 1)
	l, err := topo.ListenWith(topo.Left, func(n topo.Notice) {
		if n.Type == topo.MsgMigrateState {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop() // it need not hear all
	r := start(t, "")
	<-heard
	stopped := r.cmd.Process.Signal(syscall.SIGSTOP) // there is no telling how fast it is
	_, err = topo.Left.Run("ip", "xfrm", "policy", "flush")
	if err := errors.Join(stopped, err, r.cmd.Process.Signal(syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	got := r.end(t)
	expect(t, got, 7, "deleted by somebody else")
	if err := snap(t).Same(before); err != nil {
		t.Errorf("%v\n%s", err, got.Output)
	}
}

// afterFlush lists what the policies block that came after the SPD was flushed.
func afterFlush(heard []topo.Notice) (first []string) {
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
