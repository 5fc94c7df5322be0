//go:build lab

package scenario

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// twoTargets is one plan for two network namespaces, with a wave that waits.
type twoTargets struct {
	gates  gate
	plan   string
	state  string
	before [2]topo.Snapshot // by namespace, as in topo.Gateways
}

func newTwoTargets(t *testing.T) *twoTargets {
	t.Helper()
	build(t)
	if err := topo.Right.IP("addr add 198.51.100.1/32 dev lo\n"); err != nil { // its new address, too
		t.Fatal(err)
	}
	for _, ns := range topo.Gateways {
		manualIn(t, ns, peers)
	}
	w := &twoTargets{gates: gate{t.TempDir()}, state: filepath.Join(t.TempDir(), "state")}
	w.plan = plan(t, "192.0.2.1", "198.51.100.1",
		"targets: [{netns: left}, {netns: right}]\nwaves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+w.gates.check())
	w.before = w.snap(t)
	return w
}

func (w *twoTargets) snap(t *testing.T) (all [2]topo.Snapshot) {
	t.Helper()
	for i, ns := range topo.Gateways {
		s, err := topo.Snap(ns)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = s
	}
	return all
}

func (w *twoTargets) command(args ...string) *exec.Cmd {
	return exec.Command(topo.Program, append(args, "--state-dir", w.state)...)
}

// run starts apply, does something when the first tunnel of either namespace has moved and no other, and waits for the end.
func (w *twoTargets) run(t *testing.T, does func(*exec.Cmd)) topo.Outcome {
	t.Helper()
	cmd, out := w.command("apply", w.plan, "--yes"), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if err := topo.Until(time.Minute, func() (bool, error) {
		now := w.snap(t)
		return moved(now[0]) == 2 && moved(now[1]) == 2, nil
	}); err != nil {
		t.Fatalf("the first waves are not through: %v\n%s", err, out)
	}
	does(cmd)
	w.gates.open(t)
	cmd.Wait() // how it ended is in ProcessState
	return topo.Outcome{Output: out.String(), Code: cmd.ProcessState.ExitCode()}
}

// moved counts the SAs at the new address.
func moved(s topo.Snapshot) (n int) {
	for _, sa := range s.SAs {
		if sa.Src == topo.LeftISPB || sa.Dst == topo.LeftISPB {
			n++
		}
	}
	return n
}

// TestOnePlanInTwoNetworkNamespaces: both move side by side, each in a run of its own that is undone on its own.
func TestOnePlanInTwoNetworkNamespaces(t *testing.T) {
	w := newTwoTargets(t)
	expect(t, w.run(t, func(*exec.Cmd) {}), 0, "in network namespace left", "in network namespace right", "2 of 2 groups done")
	after := w.snap(t)
	for i, ns := range topo.Gateways {
		if moved(after[i]) != 4 || len(blocked(after[i])) != 0 {
			t.Errorf("%s: %d SAs have moved, want 4; block policies %v", ns, moved(after[i]), blocked(after[i]))
		}
		expect(t, finish(t, w.command("rollback", "--yes", "--netns", string(ns))), 0)
		if err := w.snap(t)[i].Same(w.before[i]); err != nil {
			t.Errorf("%s, rolled back: %v", ns, err)
		}
	}
}

// TestRunInTwoNetworkNamespacesIsKilled: each has to be recovered, and says so.
func TestRunInTwoNetworkNamespacesIsKilled(t *testing.T) {
	w := newTwoTargets(t)
	w.run(t, func(cmd *exec.Cmd) { cmd.Process.Kill() })
	expect(t, finish(t, w.command("apply", w.plan, "--yes")), 6, "xfrm-plan recover", "--netns left`")
	for i, ns := range topo.Gateways {
		expect(t, finish(t, w.command("recover", "--yes", "--netns", string(ns))), 0)
		if err := w.snap(t)[i].Same(w.before[i]); err != nil {
			t.Errorf("%s: %v", ns, err)
		}
	}
	expect(t, finish(t, w.command("apply", w.plan, "--yes")), 0, "2 of 2 groups done")
}
