//go:build lab

package scenario

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestSecondSignalLeavesTheRestToRecover interrupts a run twice while it waits for the operator's program that follows the first wave: the first signal lets
// that come to its end, the second one does not. A shell calls that exit status 130.
func TestSecondSignalLeavesTheRestToRecover(t *testing.T) {
	build(t)
	manual(t, peers)
	dense := sealed(t)
	var before topo.Snapshot
	pinging(t, func() {
		before = snap(t)
		g := gate{t.TempDir()}
		r := start(t, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.follows())
		g.reached(t)
		ended := make(chan topo.Outcome, 1)
		go func() { ended <- r.end(t) }()
		r.cmd.Process.Signal(syscall.SIGINT)
		var got topo.Outcome
		if err := topo.Until(20*time.Second, func() (bool, error) {
			r.cmd.Process.Signal(syscall.SIGINT) // again and again: one may come before the first has been seen
			select {
			case got = <-ended:
				return true, nil
			default:
				return false, nil
			}
		}); err != nil {
			t.Fatalf("it goes on: %v", err)
		}
		if s := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT {
			t.Errorf("it ended with %v, want SIGINT\n%s", r.cmd.ProcessState, got.Output)
		}
		moved := 0
		for _, sa := range snap(t).SAs {
			if sa.Src == topo.LeftISPB || sa.Dst == topo.LeftISPB {
				moved++
			}
		}
		if moved != 2 {
			t.Errorf("%d SAs are at the new address, want the two of the first wave", moved)
		}
		g.open(t) // for what waits there, and for recover
		again := exec.Command(r.cmd.Args[0], r.cmd.Args[1:]...)
		expect(t, finish(t, again), 6, "xfrm-plan recover")
		back := exec.Command(topo.Program, "recover", "--yes", "--netns", string(topo.Left), "--state-dir", r.state())
		expect(t, finish(t, back), 0)
		if err := snap(t).SameUnderTraffic(before); err != nil {
			t.Error(err)
		}
	})
	dense()
}
