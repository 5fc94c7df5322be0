//go:build lab

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestWatchdogIsSystemds: where systemd is process 1, what undoes an unconfirmed run is a unit of its own. It outlives the session that
// apply was started in, comes back when it is killed itself, and says in the journal what it has done; a confirmed run it leaves alone.
func TestWatchdogIsSystemds(t *testing.T) {
	build(t)
	manual(t, peers)
	c := contain(t)
	if t.Run("unconfirmed", func(t *testing.T) { unconfirmedUnderSystemd(t, c) }) { // and the tunnels are where they were
		t.Run("confirmed", func(t *testing.T) { confirmedUnderSystemd(t, c) })
	}
}

// unconfirmedUnderSystemd has apply in the tunnels' network namespace, which is not that of process 1.
func unconfirmedUnderSystemd(t *testing.T, c *container) {
	before, terminal := snap(t), loggedIn(t, c)
	r := awaitingInSession(t, c, "session-1.scope", "10s", "ip", "netns", "exec", string(topo.Left), topo.Program)
	unit := c.show(t, r.watchdog)
	if unit["ActiveState"] != "active" || unit["SubState"] != "running" || unit["Type"] != "notify" {
		t.Errorf("%s is %s, %s, of type %s", r.watchdog, unit["ActiveState"], unit["SubState"], unit["Type"])
	}
	if want := "/system.slice/" + r.watchdog; unit["ControlGroup"] != want {
		t.Errorf("the watchdog is in control group %s, want %s", unit["ControlGroup"], want)
	}
	if got, want := c.must(t, "readlink", "/proc/"+unit["MainPID"]+"/ns/net"), c.must(t, "ip", "netns", "exec", string(topo.Left), "readlink", "/proc/self/ns/net"); got != want {
		t.Errorf("the watchdog is in network namespace %s, want %s", got, want)
	}

	c.must(t, "systemctl", "kill", "--signal=SIGKILL", r.session) // what logind does to a session that is over
	r.cmd.Wait()
	if r.cmd.ProcessState.Success() {
		t.Error("apply has come to its end, and was to be killed")
	}
	c.must(t, "kill", "-KILL", unit["MainPID"])
	if err := topo.Until(10*time.Second, func() (bool, error) {
		now := c.show(t, r.watchdog)
		return now["SubState"] == "running" && now["MainPID"] != unit["MainPID"], nil
	}); err != nil {
		t.Fatalf("the watchdog was killed and does not come back: %v\n%s", err, c.story(r.watchdog))
	}
	if slices.ContainsFunc(snap(t).SAs, atISPA) {
		t.Error("the run is undone before its time")
	}

	atOldAddresses(t)
	r.watchdogEnds(t, c)
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
	if err := topo.Until(5*time.Second, func() (bool, error) {
		return strings.Contains(terminal(), "was not confirmed in time and was undone"), nil
	}); err != nil {
		t.Errorf("who is logged in reads %q: %v", terminal(), err)
	}
	story := c.story(r.watchdog)
	for _, want := range []string{"is being undone: 2 groups", "was not confirmed in time and was undone", "code=exited, status=9"} {
		if !strings.Contains(story, want) {
			t.Errorf("the journal does not say %q:\n%s", want, story)
		}
	}
	expect(t, finish(t, c.command(r.program("recover", "--yes")...)), 0, "Nothing to recover")
}

func confirmedUnderSystemd(t *testing.T, c *container) {
	r := awaitingInSession(t, c, "session-2.scope", "30s", topo.Program, "--netns", string(topo.Left))
	expect(t, finish(t, c.command(r.program("confirm")...)), 0, "is confirmed: it stays")
	r.cmd.Wait()
	if text := r.said(t); !r.cmd.ProcessState.Success() || !strings.Contains(text, "is confirmed: it stays") {
		t.Errorf("apply: %v\n%s", r.cmd.ProcessState, text)
	}
	r.watchdogEnds(t, c)
	if story := c.story(r.watchdog); !strings.Contains(story, "Deactivated successfully") || strings.Contains(story, "undone") {
		t.Errorf("the journal says\n%s", story)
	}
	if slices.ContainsFunc(snap(t).SAs, atISPA) {
		t.Error("an SA is at the old address")
	}
}

func atISPA(sa topo.SA) bool { return sa.Src == topo.LeftISPA || sa.Dst == topo.LeftISPA }

// unitRun is a run in a container that awaits its confirmation.
type unitRun struct {
	cmd      *exec.Cmd
	output   string // a file
	session  string // the scope of apply
	watchdog string // the unit
	program  func(args ...string) []string
}

// toConfirm is what apply says when a run is done.
var toConfirm = regexp.MustCompile(`confirm within .*: xfrm-plan confirm (\S+)\. Otherwise`)

// awaitingInSession starts an apply in a session and returns when the run awaits its confirmation.
func awaitingInSession(t *testing.T, c *container, session, within string, program ...string) *unitRun {
	t.Helper()
	dir := t.TempDir()
	r := &unitRun{output: filepath.Join(dir, "output"), session: session}
	r.program = func(args ...string) []string {
		return slices.Concat(program, args, []string{"--state-dir", filepath.Join(dir, "state")})
	}
	r.cmd = c.session(session, r.program("apply", plan(t, "192.0.2.1", "198.51.100.1", ""), "--yes", "--confirm-within", within)...)
	out, err := os.Create(r.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	if err := topo.Until(20*time.Second, func() (bool, error) {
		said := toConfirm.FindStringSubmatch(r.said(t))
		if said != nil {
			r.watchdog = "xfrm-plan-watchdog-" + said[1] + ".service"
		}
		return said != nil, nil
	}); err != nil {
		t.Fatalf("apply does not await its confirmation: %v\n%s", err, r.said(t))
	}
	return r
}

func (r *unitRun) said(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.output)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// watchdogEnds waits until nothing is left of the unit: one that has failed would keep the name.
func (r *unitRun) watchdogEnds(t *testing.T, c *container) {
	t.Helper()
	var now map[string]string
	if err := topo.Until(20*time.Second, func() (bool, error) {
		now = c.show(t, r.watchdog)
		return now["LoadState"] == "not-found", nil
	}); err != nil {
		t.Errorf("%s is %s, %s: %v", r.watchdog, now["LoadState"], now["ActiveState"], err)
	}
}
