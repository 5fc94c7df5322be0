//go:build lab

package engine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// watched runs a program and returns the largest resident set that it had, in KiB. What wait4(2) tells of it is no less than what
// the benchmark itself had: the kernel counts what a process was before it became the program.
func watched(cmd *exec.Cmd) (peak int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return awaited(cmd)
}

// awaited waits for a program that was started, and asks meanwhile for its peak. The last ask may miss what comes in
// the last moment.
func awaited(cmd *exec.Cmd) (peak int64, err error) {
	done := make(chan error)
	go func() { done <- cmd.Wait() }()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case err := <-done:
			return peak, err
		case <-every.C:
			peak = max(peak, residentPeak(cmd.Process.Pid))
		}
	}
}

// residentPeak reads VmHWM, 0 of a process that has ended.
func residentPeak(pid int) (kib int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if _, after, ok := bytes.Cut(b, []byte("VmHWM:")); ok {
		if _, err := fmt.Sscanf(string(after), "%d kB", &kib); err != nil {
			return 0
		}
	}
	return kib
}
