//go:build lab

package scenario

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRunOutlivesItsOutput has nobody take what apply tells: its reader goes when the first wave has moved, or the disk is full. The run comes to its end all
// the same, and the report is where it always is.
func TestRunOutlivesItsOutput(t *testing.T) {
	build(t)
	for _, tt := range []struct {
		name string
		json bool
		full bool
	}{
		{name: "events to a reader that goes", json: true},
		{name: "events to a full disk", json: true, full: true},
		{name: "text to a reader that goes"},
	}[:thin(2, 3)] {
		t.Run(tt.name, func(t *testing.T) {
			if err := topo.Left.IP("xfrm policy flush\nxfrm state flush\n"); err != nil {
				t.Fatal(err)
			}
			manual(t, peers)
			g := gate{t.TempDir()}
			r := &waved{output: new(bytes.Buffer), start: time.Now(),
				cmd: fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check()))}
			if tt.json {
				r.cmd.Args = slices.Insert(r.cmd.Args, 2, "--output", "json")
			}
			var goes func()
			if tt.full {
				full := fullDisk(t)
				r.cmd.Stdout, r.cmd.Stderr = full, full
				goes = func() {}
			} else {
				r.cmd.Stderr = r.output
				goes = reader(t, r.cmd)
			}
			if err := r.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.cmd.Process.Kill() })
			if !tt.full {
				r.cmd.Stdout.(*os.File).Close() // the program has it: the reader is told when it ends
			}
			g.reached(t)
			goes()
			g.open(t)
			expect(t, r.end(t), 0)
			there(t, []string{"SA 00001000 198.51.100.1 > 203.0.113.1", "SA 00001001 198.51.100.1 > 203.0.113.2"}, nil)
			for _, group := range reportOf(t, r).Groups {
				if group.Outcome != "done" || group.SAsVerified != 2 || group.PoliciesVerified != 3 {
					t.Errorf("the report says %+v", group)
				}
			}
		})
	}
}

// TestRecoverOutlivesItsOutput recovers from a run that was killed, onto a full disk. What cannot be shown in advance is not applied.
func TestRecoverOutlivesItsOutput(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	full := fullDisk(t)
	unseen := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", ""))
	stderr := new(bytes.Buffer)
	unseen.Stdout, unseen.Stderr = full, stderr
	if err := unseen.Run(); unseen.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("apply onto a full disk: %v\n%s", err, stderr)
	}
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
	g := gate{t.TempDir()}
	r := start(t, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check())
	defer g.open(t) // for what waits there
	g.reached(t)
	r.cmd.Process.Kill()
	r.end(t)
	back := exec.Command(topo.Program, "recover", "--yes", "--netns", string(topo.Left), "--state-dir", r.state())
	back.Stdout, back.Stderr = full, full
	if err := back.Run(); err != nil {
		t.Errorf("recover: %v", err)
	}
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
}

// fullDisk is a file that takes nothing.
func fullDisk(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// reader gives a command a pipe to write to and reads from it until it is told to go.
func reader(t *testing.T, cmd *exec.Cmd) (goes func()) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = in
	read := make(chan int)
	go func() {
		n := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n++
		}
		read <- n
	}()
	return func() {
		t.Helper()
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if n := <-read; n == 0 {
			t.Error("it had nothing to read")
		}
	}
}
