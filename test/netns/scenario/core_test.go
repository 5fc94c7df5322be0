//go:build lab

package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestProcessCanNotBeDumped looks at the program while it waits for a plan: what it has read of a kernel could be in a core. Another
// program of the same user shows that the test would see the difference.
func TestProcessCanNotBeDumped(t *testing.T) {
	const user = 4711
	for _, tt := range []struct {
		args   []string
		closed bool
	}{
		{[]string{"cat"}, false},
		{[]string{topo.Program, "validate", "-"}, true},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			cmd := exec.Command(tt.args[0], tt.args[1:]...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
			stdin, err := cmd.StdinPipe() // nothing comes: it waits
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
			if !tt.closed {
				if roots, noCore := dumpable(t, proc); roots || noCore {
					t.Fatalf("%s: root owns its memory: %v, no core: %v", tt.args[0], roots, noCore)
				}
				return
			}
			err = topo.Until(20*time.Second, func() (bool, error) {
				roots, noCore := dumpable(t, proc)
				return roots && noCore, nil
			})
			if err != nil {
				limits, _ := os.ReadFile(proc + "limits")
				t.Errorf("its user can dump it: %v\n%s", err, limits)
			}
		})
	}
}

// dumpable tells whether the kernel has given a process's memory to root, as it does if the process is not dumpable, and whether it may
// not write a core, nor allow itself to.
func dumpable(t *testing.T, proc string) (roots, noCore bool) {
	t.Helper()
	fi, err := os.Stat(proc + "mem")
	if err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			noCore = strings.Join(strings.Fields(rest), " ") == "0 0 bytes"
		}
	}
	return fi.Sys().(*syscall.Stat_t).Uid == 0, noCore
}
