//go:build lab

package scenario

import (
	"bytes"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// pause is between the two waves of a run: the first tunnel has moved, the second one has not, and a test can do something to them. It
// is long enough for an emulated machine to start a few processes.
const pause = 4 * time.Second

// TestRunIsUndoneWhenTheKernelRefusesACall puts a foreign SA in the way when the plan has been computed: in the second wave the kernel
// moves the outbound SA and refuses the inbound one.
func TestRunIsUndoneWhenTheKernelRefusesACall(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	r := startInWaves(t)
	r.firstMoved(t)
	occupy(t, 1)
	got := r.end(t)
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

// TestSignalUndoesTheRun interrupts a run between its waves, with the default onError: rollback.
func TestSignalUndoesTheRun(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			build(t)
			manual(t, peers)
			before := snap(t)
			r := startInWaves(t)
			r.firstMoved(t)
			r.cmd.Process.Signal(sig)
			got := r.end(t)
			expect(t, got, 130)
			if took := got.End.Sub(got.Start); took > pause {
				t.Errorf("it ended after %v: it waited for the pause to end", took)
			}
			if err := snap(t).Same(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGroupThatChangedIsLeftAlone deletes an SA of the second tunnel between the waves: nothing of it is touched, and onError undoes the
// first one.
func TestGroupThatChangedIsLeftAlone(t *testing.T) {
	build(t)
	manual(t, peers)
	r := startInWaves(t)
	r.firstMoved(t)
	deleteSA(t, "192.0.2.1", "203.0.113.2", "0x00001001")
	before := snap(t)
	got := r.end(t)
	expect(t, got, 7, "0x00001001", "left alone")
	after := snap(t)
	if !slices.Equal(blocked(before), blocked(after)) || len(blocked(after)) != 0 {
		t.Errorf("block policies %v\n%s", blocked(after), got.Output)
	}
	if slices.ContainsFunc(after.SAs, func(sa topo.SA) bool { return sa.Src == topo.LeftISPB }) {
		t.Errorf("an SA is still at the new address: %+v", after.SAs)
	}
}

// TestTrafficStaysBlockedWhenAnSAIsLost makes the second wave fail when an SA of the first one is gone: the first tunnel can't be undone,
// stays blocked, and apply says so.
func TestTrafficStaysBlockedWhenAnSAIsLost(t *testing.T) {
	build(t)
	manual(t, peers)
	r := startInWaves(t)
	r.firstMoved(t)
	deleteSA(t, topo.LeftISPB.String(), "203.0.113.1", "0x00001000")
	occupy(t, 1)
	got := r.end(t)
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

// A waved is a run in two waves that is on its way.
type waved struct {
	cmd    *exec.Cmd
	output *bytes.Buffer
	start  time.Time
}

func startInWaves(t *testing.T) *waved {
	t.Helper()
	more := "waves: [{name: first, size: 1, pause: " + pause.String() + "}, {name: second, size: 100%}]\n"
	r := &waved{cmd: fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", more)), output: new(bytes.Buffer), start: time.Now()}
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	return r
}

// firstMoved waits until an SA is at the new address.
func (r *waved) firstMoved(t *testing.T) {
	t.Helper()
	err := topo.Until(20*time.Second, func() (bool, error) {
		sas, err := topo.Left.SAD()
		return slices.ContainsFunc(sas, func(sa topo.SA) bool { return sa.Src == topo.LeftISPB }), err
	})
	if err != nil {
		r.cmd.Process.Kill()
		t.Fatalf("no SA has moved: %v\n%s", err, r.end(t).Output)
	}
}

func (r *waved) end(t *testing.T) topo.Outcome {
	t.Helper()
	r.cmd.Wait() // how it ended is in ProcessState
	return topo.Outcome{Output: r.output.String(), Code: r.cmd.ProcessState.ExitCode(), Start: r.start, End: time.Now()}
}
