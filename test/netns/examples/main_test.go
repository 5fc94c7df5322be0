//go:build lab

package examples

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

func TestMain(m *testing.M) {
	_, missing := exec.LookPath(topo.Program)
	if _, err := os.Stat(topo.Examples); err != nil {
		missing = err
	}
	if missing != nil {
		fmt.Fprintf(os.Stderr, "%v\nThe examples need the program and the plans in the Debian system. To run them: make test-system.\n", missing)
		os.Exit(1)
	}
	kernel.Main(m)
}

// situations are what the plans are for.
var situations = []situation{
	ispChange, toIPv6, oneBranch, natRemoval, hostToHost, waves, routeBased,
}

func TestExamples(t *testing.T) {
	var run []string
	for i := range situations {
		s := &situations[i]
		for _, p := range s.plans {
			if !slices.Contains(run, p) {
				run = append(run, p)
			}
		}
		t.Run(s.name, s.run)
	}
	slices.Sort(run)
	if !slices.Equal(run, Plans) {
		t.Errorf("run were %v, want %v", run, Plans)
	}
}
