//go:build lab

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

func TestMain(m *testing.M) {
	if _, err := exec.LookPath(topo.Program); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nThese tests need the program in the Debian system. To run them: make test-system.\n", err)
		os.Exit(1)
	}
	kernel.Main(m)
}
