package rollback_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/test/section"
)

var (
	faultRuns = flag.Int("faultruns", 150, "how many random runs TestRandomFaults makes; make soak makes 100,000")
	faultFrom = flag.Uint64("faultfrom", 0, "the seed of its first run, those of the others follow it; 0 picks one")
	faultSeed = flag.Uint64("faultseed", 0, "repeat this random run only")
)

// TestRandomFaults mixes what the matrix takes one by one: tunnels of every shape, groups side by side, each onError, a fault
// in the run and one in its recovery, back or forward.
func TestRandomFaults(t *testing.T) {
	if *faultSeed != 0 {
		c, wrong := randomCell(t, *faultSeed)
		if len(wrong) != 0 {
			t.Errorf("%s:\n\t%s", c.random(), strings.Join(wrong, "\n\t"))
		}
		return
	}
	from := *faultFrom
	if from == 0 {
		from = 1 + rand.Uint64()>>1
	}
	enough := func() bool { return false }
	if end, limited := t.Deadline(); limited { // what was run is worth knowing, if it was all or not
		enough = func() bool { return time.Until(end) < 20*time.Second }
	}
	var next, failed atomic.Uint64
	all := randomTally{kinds: make(map[string]*randomCount)}
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for n := next.Add(1); n <= uint64(*faultRuns) && failed.Load() < 5 && !enough(); n = next.Add(1) {
				seed := from + n - 1
				c, wrong := randomCell(t, seed)
				all.add(c, len(wrong) == 0)
				if n%10_000 == 0 {
					t.Logf("%d runs begun", n)
				}
				if len(wrong) != 0 {
					failed.Add(1)
					t.Errorf("-faultseed %d: %s:\n\t%s", seed, c.random(), strings.Join(wrong, "\n\t"))
				}
			}
		})
	}
	workers.Wait()
	runs := all.runs()
	text := fmt.Sprintf("%d runs, seeds %d to %d:\n\n%s", runs, from, from+uint64(runs)-1, &all)
	t.Log(text)
	if runs < *faultRuns && !t.Failed() {
		t.Logf("the time was over before %d runs", *faultRuns)
	}
	publish(t, "soak.md", section.Section{Name: "random", Text: text})
}

// randomTally counts random runs by the kind of their first fault.
type randomTally struct {
	mu    sync.Mutex // guards what follows
	kinds map[string]*randomCount
}

type randomCount struct{ runs, twice, passed int }

func (ta *randomTally) add(c cell, passed bool) {
	ta.mu.Lock()
	defer ta.mu.Unlock()
	n := ta.kinds[kind(c.first)]
	if n == nil {
		n = new(randomCount)
		ta.kinds[kind(c.first)] = n
	}
	n.runs++
	if c.second.name != "" {
		n.twice++
	}
	if passed {
		n.passed++
	}
}

func (ta *randomTally) runs() (n int) {
	for _, k := range ta.kinds {
		n += k.runs
	}
	return n
}

func (ta *randomTally) String() string {
	var b strings.Builder
	var sum randomCount
	b.WriteString("| fault in the run | runs | with another fault in the recovery | passed |\n|---|---:|---:|---:|\n")
	for _, k := range slices.Sorted(maps.Keys(ta.kinds)) {
		n := ta.kinds[k]
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", k, n.runs, n.twice, n.passed)
		sum.runs, sum.twice, sum.passed = sum.runs+n.runs, sum.twice+n.twice, sum.passed+n.passed
	}
	fmt.Fprintf(&b, "| **all** | **%d** | **%d** | **%d** |\n", sum.runs, sum.twice, sum.passed)
	return b.String()
}

// randomCell makes and runs the cell of a seed.
func randomCell(t *testing.T, seed uint64) (c cell, wrong []string) {
	r := rand.New(rand.NewPCG(seed, 1))
	some := make([]shape, 1+r.IntN(4))
	for i := range some {
		some[i] = shapes[r.IntN(len(shapes))]
	}
	c = cell{shapes: some, parallelism: 1 + r.IntN(3)}
	c.onError = []plan.OnError{plan.OnErrorRollback, plan.OnErrorStop, plan.OnErrorContinue}[r.IntN(3)]
	c.towards = []executor.Outcome{executor.Undone, executor.Done}[r.IntN(2)]
	w := newWorld(t, some...)
	defer w.remove()
	c.first = randomFault(r, w, faultless(t, some...))
	var points []point
	if c.first.name != "reboot" && c.first.name != "namespace deleted" && r.IntN(2) == 0 {
		_, points = c.run(t)
	}
	for try := 0; len(points) != 0 && try < 10; try++ {
		c.second = randomFault(r, newWorldFor(some...), points)
		// What others do to the kernel twice, the oracle can't tell from what was lost in between.
		if !strings.Contains(c.second.name, "tunnel") && !strings.Contains(c.second.name, "flushed") && !strings.Contains(c.second.name, "gone") {
			break
		}
		c.second = fault{}
	}
	wrong, _ = c.run(t)
	return c, wrong
}

// random names what differs from cell to cell of random runs.
func (c cell) random() string {
	return fmt.Sprintf("%v, %v, onError %s, towards %s, %d at a time", c, c.shapes, c.onError, c.towards, c.parallelism)
}

// randomFault picks a kind of fault first and then where it comes: most points are answers, where only a kill can.
func randomFault(r *rand.Rand, w *world, points []point) fault {
	kinds := make(map[string][]fault)
	var names []string // in the order of points, so that a seed stands for one fault
	for _, at := range points {
		for _, f := range faultsAt(w, at) {
			k := kind(f)
			if kinds[k] == nil {
				names = append(names, k)
			}
			kinds[k] = append(kinds[k], f)
		}
	}
	all := kinds[names[r.IntN(len(names))]]
	return all[r.IntN(len(all))]
}
