//go:build labhost

package powercut

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/guest"
)

// inMachine is the environment variable that makes this test binary be the job in the machine.
const inMachine = "XFRM_PLAN_POWERCUT"

// program is xfrm-plan, built once.
var program string

func TestMain(m *testing.M) {
	guest.Main() // this binary is also process 1 of the machines that it starts
	if what := os.Getenv(inMachine); what != "" {
		if err := job(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "powercut-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "xfrm-plan")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "github.com/xfrm-plan/xfrm-plan/cmd/xfrm-plan")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
