//go:build lab

package scenario

import (
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRunIsUndoneWhenTheKernelRefusesACall puts a foreign SA in the way when the plan has been computed: in the second wave the kernel
// moves the outbound SA and refuses the inbound one.
func TestRunIsUndoneWhenTheKernelRefusesACall(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	_, got := betweenWaves(t, func() { occupy(t, 1) })
	expect(t, got, 7, "file exists", "undone")
	after := snap(t)
	foreign := slices.IndexFunc(after.SAs, func(sa topo.SA) bool { return sa.Src.String() == "203.0.113.99" })
	if foreign < 0 {
		t.Fatalf("the foreign SA is gone: %+v", after.SAs)
	}
	after.SAs = slices.Delete(after.SAs, foreign, foreign+1)
	if err := after.Same(before); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("output:\n%s", got.Output)
	}
}

// TestSignalUndoesTheRun interrupts a run in the pause between its waves, with the default onError: rollback. The pause is longer than
// the test may take: a run that waited for its end would never come to its own.
func TestSignalUndoesTheRun(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			build(t)
			manual(t, peers)
			before := snap(t)
			r := start(t, "waves: [{name: first, size: 1, pause: 1h}, {name: second, size: 100%}]\n")
			r.firstMoved(t)
			r.cmd.Process.Signal(sig)
			expect(t, r.end(t), 130)
			if err := snap(t).Same(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGroupThatChangedIsComputedAgain deletes an SA of the second tunnel between the waves and installs another one in its place, as a
// re-key does: that one is moved.
func TestGroupThatChangedIsComputedAgain(t *testing.T) {
	build(t)
	manual(t, peers)
	_, got := betweenWaves(t, func() {
		deleteSA(t, "192.0.2.1", peers[1], "0x00001001")
		if err := topo.Left.IP(fmt.Sprintf("xfrm state add src 192.0.2.1 dst %s proto esp spi 0x00003001 reqid 2 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir out\n",
			peers[1], newKey())); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, got, 0, "computed again")
	after := snap(t)
	moved := func(sa topo.SA) bool { return sa.SPI == 0x3001 && sa.Src == topo.LeftISPB }
	if len(blocked(after)) != 0 || len(after.SAs) != 4 || !slices.ContainsFunc(after.SAs, moved) {
		t.Errorf("block policies %v, SAs %+v\n%s", blocked(after), after.SAs, got.Output)
	}
}

// TestTrafficStaysBlockedWhenAnSAIsLost makes the second wave fail when an SA of the first one is gone: the first tunnel can't be undone,
// stays blocked, and apply says so.
func TestTrafficStaysBlockedWhenAnSAIsLost(t *testing.T) {
	build(t)
	manual(t, peers)
	r, got := betweenWaves(t, func() {
		deleteSA(t, topo.LeftISPB.String(), "203.0.113.1", "0x00001000")
		occupy(t, 1)
	})
	expect(t, got, 8, "0x00001000", "blocked")
	blocks := blocked(snap(t))
	if len(blocks) != 1 || blocks[0] != "out src 10.1.0.0/24 dst 10.2.0.0/24" {
		t.Errorf("block policies %v, want one over the outbound policy of the first tunnel\n%s", blocks, got.Output)
	}
	expect(t, finish(t, exec.Command(r.cmd.Args[0], r.cmd.Args[1:]...)), 6, "xfrm-plan recover")
}

func deleteSA(t *testing.T, src, dst, spi string) {
	t.Helper()
	if err := topo.Left.IP("xfrm state delete src " + src + " dst " + dst + " proto esp spi " + spi + "\n"); err != nil {
		t.Fatal(err)
	}
}

// blocked lists the block policies.
func blocked(s topo.Snapshot) (all []string) {
	for _, p := range s.Policies {
		if p.Action == "block" {
			all = append(all, p.Dir+" "+p.Selector)
		}
	}
	return all
}
