//go:build lab

package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
)

// freshHeap gives what is free back to the kernel and makes it forget this process's peak (proc(5), clear_refs): what comes then is
// measured as in a process that has just started.
func freshHeap(b *testing.B) {
	b.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peakMemory is the most memory that this process has had since freshHeap, in bytes (VmHWM).
func peakMemory(b *testing.B) uint64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, line, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib uint64
	if _, err := fmt.Sscanf(string(line), "%d kB", &kib); err != nil {
		b.Fatalf("VmHWM in /proc/self/status: %v", err)
	}
	return kib << 10
}
