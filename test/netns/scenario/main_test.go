//go:build lab

package scenario

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// thorough is for make test-ike: each scenario with a daemon takes half a minute.
var thorough = flag.Bool("thorough", false, "every variant of the scenarios that have some, not only the first of each")

// thin is how many variants of a scenario are run.
func thin(few, all int) int {
	if *thorough {
		return all
	}
	return few
}

func TestMain(m *testing.M) {
	_, missing := exec.LookPath(topo.Program)
	if _, err := os.Stat(topo.Examples); err != nil {
		missing = err
	}
	if missing != nil {
		fmt.Fprintf(os.Stderr, "%v\nThe scenarios need the program and the examples in the Debian system. To run them: make test-system.\n", missing)
		os.Exit(1)
	}
	kernel.Main(m)
}

// build makes the network of topo.Drawing for one test.
func build(t *testing.T) *topo.Network {
	t.Helper()
	n, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// snap reads the left gateway, on which all scenarios with a single gateway take place.
func snap(t *testing.T) topo.Snapshot {
	t.Helper()
	s, err := topo.Snap(topo.Left)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
