//go:build lab

package scenario

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRunThatNobodyListensTo has whoever reads the standard output of a run leave amid it: that is no reason to break off, and what
// happened is in the report.
func TestRunThatNobodyListensTo(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			build(t)
			manual(t, peers)
			g := gate{t.TempDir()}
			cmd := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check()))
			cmd.Args = append(cmd.Args, "--output", format)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			w.Close()
			go io.Copy(io.Discard, r)
			g.reached(t)
			r.Close()
			g.open(t)
			cmd.Wait() // how it ended is in ProcessState
			if got := cmd.ProcessState.ExitCode(); got != 0 {
				t.Errorf("exit code %d, want 0", got)
			}
			after := snap(t)
			if len(blocked(after)) != 0 || slices.ContainsFunc(after.SAs, func(sa topo.SA) bool { return sa.Src == topo.LeftISPA || sa.Dst == topo.LeftISPA }) {
				t.Errorf("block policies %v, SAs %+v", blocked(after), after.SAs)
			}
			state := cmd.Args[slices.Index(cmd.Args, "--state-dir")+1]
			expect(t, finish(t, exec.Command(topo.Program, "status", "--netns", string(topo.Left), "--state-dir", state)), 0, "2 of 2 groups done")
		})
	}
}

// TestPlanThatCanNotBeShownIsNotApplied: on a full disk nobody has seen what would be done.
func TestPlanThatCanNotBeShownIsNotApplied(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", ""))
	cmd.Stdout = full
	cmd.Run() // how it ended is in ProcessState
	if got := cmd.ProcessState.ExitCode(); got != 1 {
		t.Errorf("exit code %d, want 1", got)
	}
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
}
