//go:build lab

package conform

import (
	"flag"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest/conformance"
)

func TestMain(m *testing.M) { kernel.Main(m) }

func TestKernel(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Namespace { return newNamespace(t) })
}

var (
	seed  = flag.Uint64("seed", 1, "first seed of the random test")
	seeds = flag.Uint64("seeds", 100, "how many seeds")
)

// TestModelAgrees sends random requests to both kernels.
func TestModelAgrees(t *testing.T) {
	for s := *seed; s < *seed+*seeds && !t.Failed(); s++ {
		conformance.Differential(t, s, 200, newNamespace(t), conformance.Model(t, xfrmtest.New()))
	}
}
