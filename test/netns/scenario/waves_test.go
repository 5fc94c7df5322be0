//go:build lab

package scenario

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// A waved is a run in two waves that is on its way.
type waved struct {
	cmd    *exec.Cmd
	output *bytes.Buffer
	start  time.Time
}

// A gate is a program after each wave that holds the run until the test lets it go on.
type gate struct{ dir string }

// check is the gate as a check. The first wave's says that it is there; those that come when the gate is open pass.
func (g gate) check() string {
	return fmt.Sprintf("checks: {after: {command: {run: %s, timeout: 2m}}}\n", g.program())
}

// follows is the gate as the program that brings an IKE daemon along after each wave.
func (g gate) follows() string {
	return fmt.Sprintf("ike: {follow: reestablish}\nreestablish: {driver: command, command: %s, timeout: 2m}\n", g.program())
}

func (g gate) program() string {
	return fmt.Sprintf("[/bin/sh, -c, 'touch $0/reached; until [ -e $0/open ]; do sleep 0.1; done', %q]", g.dir)
}

// reached waits until the first wave has moved and the second has not begun.
func (g gate) reached(t *testing.T) {
	t.Helper()
	err := topo.Until(time.Minute, func() (bool, error) {
		_, err := os.Stat(filepath.Join(g.dir, "reached"))
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("the first wave is not through: %v", err)
	}
}

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// betweenWaves starts a run in two waves and does something when the first tunnel has moved and the second has not.
func betweenWaves(t *testing.T, do func()) (*waved, topo.Outcome) {
	t.Helper()
	g := gate{t.TempDir()}
	r := start(t, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check())
	g.reached(t)
	do()
	g.open(t)
	return r, r.end(t)
}

func start(t *testing.T, more string) *waved {
	t.Helper()
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

// state is the run's state directory.
func (r *waved) state() string { return r.cmd.Args[len(r.cmd.Args)-1] }
