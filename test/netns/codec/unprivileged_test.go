//go:build lab

package codec

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// unprivilegedArg makes the test binary act as the child of TestProbeWithoutTheCapability.
const unprivilegedArg = "unprivileged-probe"

// unprivileged probes the kernel and listens to it, and exits with 0 if both were refused for want of CAP_NET_ADMIN.
func unprivileged() int {
	c, err := xfrm.Dial(0)
	if err == nil {
		err = c.MigrateSupported()
	}
	_, listen := xfrm.DialMonitor(0, xfrm.GroupSA)
	for _, err := range []error{err, listen} {
		fmt.Println(err)
		if !errors.Is(err, xfrm.ErrNotPermitted) || !errors.Is(err, syscall.EPERM) {
			return 1
		}
	}
	return 0
}

func TestProbe(t *testing.T) {
	n := newNetNS(t)
	if err := n.conn.MigrateSupported(); err != nil {
		t.Errorf("MigrateSupported: %v", err)
	}
	if sas := n.sas(); len(sas) != 0 {
		t.Errorf("the probe left %v", sas)
	}
}

func TestProbeWithoutTheCapability(t *testing.T) {
	child := exec.Command("/proc/self/exe", unprivilegedArg)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	child.Env = os.Environ()
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v, %s", err, out)
	}
}
