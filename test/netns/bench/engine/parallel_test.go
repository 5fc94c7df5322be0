//go:build lab

package engine

import (
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// TestParallelism measures what several groups at once gain within one network namespace, where the kernel takes one
// request at a time.
func TestParallelism(t *testing.T) {
	if *parallel == "" {
		t.Skip("no -parallel-out")
	}
	boot := describe(t)
	h := newHub(t, result.PolicyBased, 1000)
	boot.Parallel = append(boot.Parallel, h.plain(result.Floor, h.floorWay(), time.Hour))
	for _, p := range []int{1, 2, 4, 8} {
		var b best
		for range repeats(h.n) {
			b.take(h.measure(func() (result.Measure, error) { return h.apply(p) }))
		}
		b.Parallelism = p
		boot.Parallel = append(boot.Parallel, b.Measure)
	}
	if err := boot.Write(*parallel); err != nil {
		t.Fatal(err)
	}
}
