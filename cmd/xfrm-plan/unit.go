package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// underSystemd asks what sd_booted(3) asks.
func underSystemd() bool {
	fi, err := os.Lstat("/run/systemd/system")
	return err == nil && fi.IsDir()
}

// startUnit runs a watchdog as a transient unit and returns when it has said that it is ready. It does not fall back to a
// process of the session: one that dies with the session is worse than none, for it was relied on.
func startUnit(unit string, command []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*watchdogStart)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemd-run", append(unitArgs(unit, lastingNamespace("/proc", netnsDir)), command...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("start the watchdog as unit %s: systemd-run: %w: %s", unit, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unitArgs are systemd-run's for a watchdog in a network namespace, empty for that of process 1.
func unitArgs(unit, netns string) []string {
	args := []string{
		"--quiet", "--collect", "--unit=" + unit, "--description=Undoes an xfrm-plan run unless it is confirmed",
		// systemd-run then waits for READY=1.
		"--service-type=notify", fmt.Sprintf("--property=TimeoutStartSec=%d", int(watchdogStart.Seconds())),
		// One that was killed comes back: until when it has to wait stands in the journal.
		"--property=Restart=on-abnormal",
	}
	if netns != "" {
		args = append(args, "--property=NetworkNamespacePath="+netns)
	}
	return append(args, "--")
}

// lastingNamespace returns a path to our network namespace, which is not that of process 1 under ip netns exec; it is empty if
// it is. systemd opens it anew when the watchdog comes back after a kill, and then we may be gone: only a namespace
// without a name, which has no better path, goes by our process.
func lastingNamespace(proc, names string) string {
	ours := filepath.Join(proc, strconv.Itoa(os.Getpid()), "ns/net")
	same := func(path string) bool {
		a, err := os.Stat(ours)
		b, berr := os.Stat(path)
		return err == nil && berr == nil && os.SameFile(a, b)
	}
	if same(filepath.Join(proc, "1/ns/net")) {
		return ""
	}
	all, _ := os.ReadDir(names) // without the directory no namespace has a name
	for _, e := range all {
		if path := filepath.Join(names, e.Name()); same(path) {
			return path
		}
	}
	return ours
}
