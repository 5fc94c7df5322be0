package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
	out, err := exec.CommandContext(ctx, "systemd-run", append(unitArgs(unit, os.Getpid()), command...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("start the watchdog as unit %s: systemd-run: %w: %s", unit, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unitArgs are systemd-run's for a watchdog of the process.
func unitArgs(unit string, pid int) []string {
	return []string{
		"--quiet", "--collect", "--unit=" + unit, "--description=Undoes an xfrm-plan run unless it is confirmed",
		// systemd-run then waits for READY=1.
		"--service-type=notify", fmt.Sprintf("--property=TimeoutStartSec=%d", int(watchdogStart.Seconds())),
		// The unit would be in the namespace of process 1 otherwise, and apply may be in that of ip netns exec.
		fmt.Sprintf("--property=NetworkNamespacePath=/proc/%d/ns/net", pid),
		// One that was killed comes back: until when it has to wait stands in the journal.
		"--property=Restart=on-abnormal",
		"--",
	}
}
