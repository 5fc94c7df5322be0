//go:build lab

package engine

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// waitIdle waits until the machine has nothing left to do: SAs and policies that were deleted are freed by kernel
// threads, some time after the acknowledgement, and that would be charged to whoever is measured next.
func waitIdle(t *testing.T) {
	t.Helper()
	const pace = 200 * time.Millisecond
	for range 300 {
		idle, total := ticks(t)
		time.Sleep(pace)
		idle2, total2 := ticks(t)
		if idle2-idle >= (total2-total)*8/10 {
			return
		}
	}
	t.Fatal("the machine does not come to rest within a minute")
}

// ticks reads how long the processors did nothing, and for how long they have been there, from the first line of
// /proc/stat.
func ticks(t *testing.T) (idle, total int) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 || i == 4 { // idle, iowait
			idle += n
		}
		total += n
	}
	return idle, total
}
