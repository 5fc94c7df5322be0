//go:build lab

package scenario

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// systemLog stands in for systemd's journal, which the machine does not have: it returns what was sent until it is called.
func systemLog(t *testing.T) func() []string {
	t.Helper()
	const path = "/run/systemd/journal/socket"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		os.Remove(path)
	})
	return func() (lines []string) {
		conn.SetReadDeadline(time.Now().Add(time.Second)) // all of it was sent: the program has ended
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return lines
			}
			lines = append(lines, string(buf[:n]))
		}
	}
}

// TestRunOnATerminal looks at a run on a terminal, from beside and in the system's log, and tries to stop it with Ctrl-Z.
func TestRunOnATerminal(t *testing.T) {
	build(t)
	manual(t, peers)
	log := systemLog(t)
	g := gate{t.TempDir()}
	apply := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check()))
	state := apply.Args[len(apply.Args)-1]
	// A shell with job control, as an operator has: without one Ctrl-Z stops nobody.
	cmd := exec.Command("script", "-qec", "sh -mc '"+strings.Join(apply.Args, " ")+"; exit $?'", "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &waved{cmd: cmd, output: new(bytes.Buffer), start: time.Now()}
	cmd.Stdout, cmd.Stderr = r.output, r.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	g.reached(t)
	status := func(more ...string) string {
		t.Helper()
		o, err := topo.Finish(exec.Command(topo.Program, append([]string{"status", "--state-dir", state}, more...)...))
		if err != nil || o.Code != 0 {
			t.Fatalf("status: %v, %+v", err, o)
		}
		return o.Output
	}
	atWork := regexp.MustCompile(`^(\S+)  at work +1 of 2 groups done  scenario  in \w+, wave 1 of 2 \(first\), begun [0-9:]+, \d+s ago, process \d+$`)
	m := atWork.FindStringSubmatch(status())
	if m == nil {
		t.Fatalf("between the waves status says %q", status())
	}
	fmt.Fprint(keys, "\x1a")
	time.Sleep(300 * time.Millisecond) // for the bar to be drawn; were it slower, the test would see less, not fail
	g.open(t)
	expect(t, r.end(t), 0, "1 of 2 groups done  blocked now 0  longest ", "2 of 2 groups done; longest interruption", "\x1b[32m#")
	if strings.Contains(r.output.String(), "moved; its traffic") {
		t.Errorf("the terminal has lines of groups besides the bar:\n%q", r.output)
	}
	whole := status(m[1])
	for _, want := range []string{": ended", "blocked for ", "2 SAs and 3 policies read back at "} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %q in\n%s", want, whole)
		}
	}
	lines := log()
	if len(lines) != 2 {
		t.Fatalf("%d lines in the system's log: %q", len(lines), lines)
	}
	for i, wants := range [][]string{
		{"XFRM_PLAN_RUN=" + m[1] + "\n", "XFRM_PLAN_GROUPS=2\n", "XFRM_PLAN_NETNS=" + string(topo.Left) + "\n", "SYSLOG_IDENTIFIER=xfrm-plan\n"},
		{"XFRM_PLAN_RUN=" + m[1] + "\n", "XFRM_PLAN_OUTCOME=done\n", "XFRM_PLAN_DONE=2\n", "XFRM_PLAN_LONGEST_INTERRUPTION_USEC="},
	} {
		for _, want := range wants {
			if !strings.Contains(lines[i], want) {
				t.Errorf("no %q in %q", want, lines[i])
			}
		}
	}
}

// TestReportHasWhatTheKernelAnswered reads the report of a run that the kernel refused in the middle.
func TestReportHasWhatTheKernelAnswered(t *testing.T) {
	build(t)
	manual(t, peers)
	r, got := betweenWaves(t, func() { occupy(t, 1) })
	expect(t, got, 7)
	state := r.cmd.Args[len(r.cmd.Args)-1]
	run := regexp.MustCompile(`Run (\S+) in`).FindStringSubmatch(got.Output)
	if run == nil {
		t.Fatal(got.Output)
	}
	text, err := topo.Finish(exec.Command(topo.Program, "status", run[1], "--state-dir", state))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, text, 0, "0 of 2 groups done, 2 undone; longest", "MIGRATE_STATE: file exists: New SA tuple already occupied")
	asJSON, err := topo.Finish(exec.Command(topo.Program, "status", run[1], "--state-dir", state, "--output", "json"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, asJSON, 0, `"answers":[{"request":"MIGRATE_STATE","errno":"EEXIST","text":"New SA tuple already occupied"}]`)
}
