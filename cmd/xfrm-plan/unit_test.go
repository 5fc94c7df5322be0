package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// systemdRun puts a systemd-run on the PATH that writes its arguments down, one a line, and goes on with the rest of the script.
func systemdRun(t *testing.T, rest string) (args func() []string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >'" + dir + "/args'\n" + rest + "\n"
	if err := os.WriteFile(filepath.Join(dir, "systemd-run"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		b, err := os.ReadFile(filepath.Join(dir, "args"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func TestWatchdogIsATransientUnit(t *testing.T) {
	args := systemdRun(t, "")
	if err := startUnit("xfrm-plan-watchdog-r", []string{"/usr/bin/xfrm-plan", "watchdog", "r"}); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(args(), " ")
	for _, want := range []string{
		"--unit=xfrm-plan-watchdog-r ", "--service-type=notify ", "--collect ", "--property=Restart=on-abnormal ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("systemd-run %s\nlacks %s", got, want)
		}
	}
	if !strings.HasSuffix(got, " -- /usr/bin/xfrm-plan watchdog r") {
		t.Errorf("systemd-run %s\ndoes not end with the command", got)
	}
}

// TestWatchdogComesBackWhereItWas: systemd opens the path of the network namespace anew when the watchdog was killed. That of apply's
// process is then gone with apply's session.
func TestWatchdogComesBackWhereItWas(t *testing.T) {
	dir := t.TempDir()
	proc, names := filepath.Join(dir, "proc"), filepath.Join(dir, "netns")
	ours, first := filepath.Join(proc, strconv.Itoa(os.Getpid()), "ns/net"), filepath.Join(proc, "1/ns/net")
	file := func(path string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Link(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	file(ours)
	file(first)
	if got := lastingNamespace(proc, names); got != ours {
		t.Errorf("without a name: %q, want %q", got, ours)
	}
	file(filepath.Join(names, "lan"))
	link(ours, filepath.Join(names, "wan"))
	if got, want := lastingNamespace(proc, names), filepath.Join(names, "wan"); got != want {
		t.Errorf("with a name: %q, want %q", got, want)
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	link(ours, first)
	if got := lastingNamespace(proc, names); got != "" {
		t.Errorf("in the namespace of process 1: %q, want none", got)
	}
	if args := strings.Join(unitArgs("u", ""), " "); strings.Contains(args, "NetworkNamespacePath") {
		t.Errorf("systemd-run %s", args)
	}
	if args := strings.Join(unitArgs("u", "/run/netns/wan"), " "); !strings.HasSuffix(args, " --property=NetworkNamespacePath=/run/netns/wan --") {
		t.Errorf("systemd-run %s", args)
	}
}

// TestWatchdogThatSystemdRefusesIsSaid: apply does nothing without one, and says why.
func TestWatchdogThatSystemdRefusesIsSaid(t *testing.T) {
	systemdRun(t, "echo 'Failed to start transient service unit: Access denied' >&2; exit 1")
	err := startUnit("xfrm-plan-watchdog-r", []string{"/usr/bin/xfrm-plan"})
	if err == nil || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("%v, want what systemd-run said", err)
	}
}

// TestWatchdogTellsSystemdThatItIsReady: systemd-run waits for that, and apply for systemd-run.
func TestWatchdogTellsSystemdThatItIsReady(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	stateDir := filepath.Join(dir, "state")
	state, err := rollback.OpenStateDir(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	const run = "20261124T010203Z-0001"
	journal, err := state.Create(rollback.Header{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	if err := journal.End(); err != nil { // it has nothing to wait for
		t.Fatal(err)
	}
	h := newMemoryHost()
	p := &program{in: strings.NewReader(""), out: io.Discard, err: t.Output(), open: func(string) (namespace, error) { return h, nil }}
	if code := p.run(context.Background(), []string{"--state-dir", stateDir, "watchdog", run, "--within", "1m"}); code != exitOK {
		t.Fatalf("exit status %d", code)
	}
	said := make([]byte, 100)
	n, err := socket.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("%q, %v; want READY=1", said[:n], err)
	}
}
