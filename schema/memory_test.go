package schema

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostile are inputs of up to 1 MiB that make something grow: nodes, depth, anchors, keys, comments, problems.
var hostile = map[string]func(size int) string{
	"renumber":            func(n int) string { return header + "renumber:\n" + hosts(n/33) },
	"values in brackets":  repeat("[", "a,", "]"),
	"values on lines":     repeat("", "- a\n", ""),
	"keys in braces":      repeat("{", "a,", "}"),
	"distinct keys":       func(n int) string { return numbered(n/8, "k%d: 1\n") },
	"deep in brackets":    repeat("", "[", ""),
	"deep in braces":      repeat("", "{a: ", ""),
	"deep and closed":     func(int) string { return strings.Repeat("[", 9999) + strings.Repeat("]", 9999) },
	"deep lists":          repeat("", "- ", ""),
	"deep keys":           repeat("", "? ", ""),
	"anchors":             repeat("[", "&a a,", "]"),
	"anchors and aliases": repeat("[&a a,", "*a,", "]"),
	"a bomb":              func(int) string { return bomb(20) },
	"tag directives":      func(n int) string { return numbered(n/24, "%%TAG !%d! tag:x,2000:\n") },
	"comments":            repeat("a: 1\n", "#\n", ""),
	"comments on entries": repeat("", "- a #x\n", ""),
	"comments in flow":    repeat("[", "a #\n,", "]"),
	"a long key":          func(n int) string { return strings.Repeat("k", n) + ": 1\n" },
	"long keys":           func(n int) string { return numbered(n/1000, "k%d"+strings.Repeat("x", 990)+": 1\n") },
	"a long scalar":       func(n int) string { return header + "renumber: " + strings.Repeat("x", n) },
	"a long quoted one":   func(n int) string { return `a: "` + strings.Repeat(`\n`, n/2) + `"` },
	"blank lines":         repeat("a:", "\n", " b"),
	"empty entries":       repeat(header+"renumber: [", "{},", "]"),
	"unknown keys":        repeat(header+"renumber: [", "{a: b},", "]"),
	"null entries":        repeat(header+"renumber: [", "~,", "]"),
	"matches":             repeat(header+oneMap+"select: {include: [", "{reqid: 1},", "{reqid: 2}]}"),
	"documents":           repeat("", "---\n", ""),
	// As dense as checkDensity admits.
	"small mappings":      repeat(header+"renumber:\n", "- from: 10.0.0.1\n", ""),
	"distinct mappings":   func(n int) string { return "a:\n" + numbered(n/18, "- k%d: 123456\n") },
	"keys and values":     repeat("", "key: 12345\n", ""),
	"long enough entries": repeat("[", "1234567890,", "]"),
	"commented entries":   repeat("", "- a # a comment that\n  # goes on for two lines, so that it is kept\n", ""),
	"nested lists":        repeat("- a\n", "- - - - - - - - - - - - 1234567890123456789012345678901234567890\n", ""),
	"entries in braces":   repeat("", "- {a: 123456789}\n", ""),
	"entries in brackets": repeat("", "- [1234567890]\n", ""),
	"hidden characters":   repeat(header+"# ", "\u200b", ""),
	"matches at length":   repeat(header+oneMap+"select: {include: [", "{reqid: 1000000001},", "{reqid: 2}]}"),
	"control characters":  repeat("", "\a", ""),
}

func repeat(before, unit, after string) func(int) string {
	return func(n int) string { return before + strings.Repeat(unit, n/len(unit)) + after }
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {from: 10.0.%d.%d, to: 10.1.%d.%d}\n", i>>8, i&255, i>>8, i&255)
	}
	return b.String()
}

func bomb(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9))
	}
	return b.String()
}

// mostMemory is how much a Load of 1 MiB may take.
const mostMemory = 64 << 20

// TestHostileInputTakesLittleMemoryAndTime loads each input in a process of its own and asks the kernel for the peak of
// its resident size: that counts garbage, stacks and fragments, which heap statistics of the moment leave out. The
// process reads VmHWM itself, since ru_maxrss also counts the parent at the time of the fork.
func TestHostileInputTakesLittleMemoryAndTime(t *testing.T) {
	if name, ok := os.LookupEnv("XFRM_PLAN_TEST_HOSTILE"); ok {
		if name != "" {
			_, _ = Load("plan.yaml", []byte(hostile[name](1<<20)))
		} else {
			_, _ = Load("plan.yaml", []byte(header+oneMap))
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n", status)
		return
	}
	if testing.Short() {
		t.Skip("a process for each input")
	}
	if raceDetector() {
		t.Skip("the race detector takes several times the memory")
	}
	base, _ := peak(t, "")
	for name := range hostile {
		t.Run(name, func(t *testing.T) {
			rss, took := peak(t, name)
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			// The input itself is there twice at most: built, and converted to bytes.
			const input = 2 << 20
			if used := rss - base - input; used > mostMemory {
				t.Errorf("took %d MiB more than a small plan", used>>20)
			}
			t.Logf("%d MiB more than a small plan, %v", (rss-base)>>20, took)
		})
	}
}

// growth is by how much the resident size grew at most while f ran, garbage of earlier calls left out. Writing 5 to
// clear_refs takes the peak back to what is in use (proc_pid_clear_refs(5)).
func growth(t *testing.T, f func()) int64 {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	before := highWater(t, readFile(t, "/proc/self/status"))
	f()
	return highWater(t, readFile(t, "/proc/self/status")) - before
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// peak is the highest resident size, in bytes, of a process that loads the named input.
func peak(t *testing.T, name string) (int64, time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHostileInputTakesLittleMemoryAndTime$")
	cmd.Env = append(os.Environ(), "XFRM_PLAN_TEST_HOSTILE="+name)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	return highWater(t, out.Bytes()), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// highWater is the highest resident size, in bytes, that a /proc/PID/status tells.
func highWater(t *testing.T, status []byte) int64 {
	t.Helper()
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Fscan(bytes.NewReader(rest), &kib); err != nil {
		t.Fatalf("no VmHWM: %v\n%s", err, status)
	}
	return kib << 10
}
