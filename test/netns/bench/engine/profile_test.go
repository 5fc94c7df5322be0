//go:build lab

package engine

import (
	"os"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// TestProfile profiles one apply. It is for whoever asks where the time goes: the profile costs some itself.
func TestProfile(t *testing.T) {
	if *profile == "" {
		t.Skip("no -profile")
	}
	if err := os.Setenv("XFRM_PLAN_CPUPROFILE", *profile); err != nil {
		t.Fatal(err)
	}
	h := newHub(t, result.PolicyBased, sizes[len(sizes)-1])
	h.measure(func() (result.Measure, error) { return h.apply(0) })
}
