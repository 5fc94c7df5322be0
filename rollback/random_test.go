package rollback_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

var (
	faultRuns = flag.Int("faultruns", 150, "how many random runs TestRandomFaults makes")
	faultSeed = flag.Uint64("faultseed", 0, "repeat this random run only")
)

// TestRandomFaults mixes what the matrix takes one by one: tunnels of every shape, groups side by side, each onError, a fault
// in the run and one in its recovery, back or forward.
func TestRandomFaults(t *testing.T) {
	if *faultSeed != 0 {
		wrong := randomCell(t, *faultSeed)
		if len(wrong) != 0 {
			t.Errorf("%s", strings.Join(wrong, "\n"))
		}
		return
	}
	var next, failed atomic.Uint64
	base := rand.Uint64() >> 1
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for n := next.Add(1); n <= uint64(*faultRuns) && failed.Load() < 5; n = next.Add(1) {
				if wrong := randomCell(t, base+n); len(wrong) != 0 {
					failed.Add(1)
					t.Errorf("-faultseed %d:\n\t%s", base+n, strings.Join(wrong, "\n\t"))
				}
			}
		})
	}
	workers.Wait()
}

func randomCell(t *testing.T, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	some := make([]shape, 1+r.IntN(4))
	for i := range some {
		some[i] = shapes[r.IntN(len(shapes))]
	}
	c := cell{shapes: some, parallelism: 1 + r.IntN(3)}
	c.onError = []plan.OnError{plan.OnErrorRollback, plan.OnErrorStop, plan.OnErrorContinue}[r.IntN(3)]
	c.towards = []executor.Outcome{executor.Undone, executor.Done}[r.IntN(2)]
	c.first = randomFault(r, newWorld(t, some...), faultless(t, some...))
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
	wrong, _ := c.run(t)
	if len(wrong) != 0 {
		wrong = append(wrong, fmt.Sprintf("%v, %v, onError %s, towards %s", c, c.shapes, c.onError, c.towards))
	}
	return wrong
}

func randomFault(r *rand.Rand, w *world, points []point) fault {
	all := faultsAt(w, points[r.IntN(len(points))])
	return all[r.IntN(len(all))]
}
