//go:build lab

package engine

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// TestWays moves the Child SAs of one hub of each size there and back, way by way.
func TestWays(t *testing.T) {
	if *out == "" {
		t.Skip("no -out")
	}
	boot := describe(t)
	few, many := applyMessages(t, 10, 20), applyMessages(t, 70, 80) // in small bins, and in larger ones
	for _, kind := range []result.Kind{result.PolicyBased, result.IfID} {
		for _, n := range sizes {
			if kind == result.IfID && n > *mostIfIDs {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", kind, n), func(t *testing.T) {
				h := newHub(t, kind, n)
				// In turns, so that what else the host does meets both alike.
				var floor, apply best
				for range repeats(n) {
					floor.take(h.plain(result.Floor, h.floorWay(), time.Hour))
					apply.take(h.measure(func() (result.Measure, error) { return h.apply(0) }))
				}
				apply.Messages = many
				if kind == result.IfID || n <= 64 {
					apply.Messages = few
				}
				boot.Ways = append(boot.Ways, floor.Measure, h.plain(result.Plain, plainFloor, time.Hour), apply.Measure)
				if *brief {
					return
				}
				for _, w := range []struct {
					way result.Way
					do  plainWay
				}{{result.InPlace, inPlaceWay}, {result.Legacy, legacyWay}} {
					boot.Ways = append(boot.Ways, h.plain(w.way, w.do, *limit))
				}
				boot.Ways = append(boot.Ways, h.measure(h.ipBatch))
			})
			if t.Failed() {
				return
			}
			// After each size: what was measured is kept if the time for the rest runs out.
			if err := boot.Write(*out); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// repeats is how often the floor and the program are measured. The machine's clock counts instructions, so that runs
// differ by where timers and garbage collections fall: more of them in a short one.
func repeats(n int) int {
	if n < 1000 {
		return 3
	}
	return 1
}

// best is the fastest of several runs.
type best struct{ result.Measure }

func (b *best) take(m result.Measure) {
	runs := b.Runs + 1
	if b.Runs == 0 || m.Took < b.Took {
		b.Measure = m
	}
	b.Runs = runs
}

// measure runs a way, checks what it has done, brings the rest along if its time was up, and logs its figures.
func (h *hub) measure(way func() (result.Measure, error)) result.Measure {
	h.t.Helper()
	m, err := way()
	if err != nil {
		h.t.Fatalf("%s: %v", m.Way, err)
	}
	m.Kind, m.N = h.kind, h.n
	m.Runs = 1
	h.finish(m.Moved)
	h.arrived(1 - h.at)
	h.t.Logf("%-9s %8.3f s, %8v each, %d moved, interrupted %v, %d KiB, phases %v",
		m.Way, m.Took.Seconds(), m.Each().Round(time.Microsecond), m.Moved, m.Interrupted, m.Peak, m.Phases)
	return m
}

// finish moves the Child SAs from the first one on that a way has not come to.
func (h *hub) finish(first int) {
	h.t.Helper()
	if first == h.n {
		return
	}
	if _, err := h.loop().run(h.groups(h.floorWay(), first, h.n), time.Hour); err != nil {
		h.t.Fatal(err)
	}
}

// groups lays out the datagrams of the Child SAs from first up to end.
func (h *hub) groups(way plainWay, first, end int) [][]datagram {
	all := make([][]datagram, 0, end-first)
	for i := first; i < end; i++ {
		from, to := h.child(i, h.at), h.child(i, 1-h.at)
		all = append(all, way(&from, &to))
	}
	return all
}

// plain measures a way that is nothing but datagrams.
func (h *hub) plain(name result.Way, way plainWay, limit time.Duration) result.Measure {
	h.t.Helper()
	return h.measure(func() (result.Measure, error) {
		groups := h.groups(way, 0, h.n)
		l := h.loop()
		runtime.GC() // none while it is measured: the loop allocates nothing
		waitIdle(h.t)
		start := time.Now()
		spans, err := l.run(groups, limit)
		m := result.Measure{Way: name, Took: time.Since(start), Moved: len(spans), Interrupted: result.SpreadOf(spans)}
		for _, d := range groups[0] {
			m.Messages += d.requests
		}
		return m, err
	})
}

func describe(t *testing.T) *result.Boot {
	t.Helper()
	var u unix.Utsname
	var info unix.Sysinfo_t
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	return &result.Boot{
		Kernel: unix.ByteSliceToString(u.Release[:]), Processor: processor(t), CPUs: runtime.NumCPU(),
		MemoryMiB: int(info.Totalram >> 20), Date: time.Now().UTC().Format(time.DateOnly),
	}
}

func processor(t *testing.T) string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name\t: "); ok {
			return name
		}
	}
	return "unknown"
}
