//go:build lab

package inventory

import (
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRecordLibreswan records the left gateway before the first packet and with a tunnel up.
func TestRecordLibreswan(t *testing.T) {
	newNetNS(t) // for its check of the machine
	network, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	if err := network.StartLibreswan(""); err != nil {
		t.Fatal(err)
	}
	whack := func(ns topo.Namespace, args ...string) {
		t.Helper()
		if out, err := network.Whack(ns, append(args, "--asynchronous")...); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, network.PlutoLog(ns))
		}
	}
	left := openNetNS(t, string(topo.Left))
	for _, ns := range topo.Gateways {
		whack(ns, "--route", "--name", "site")
	}
	left.record("libreswan-ondemand", "libreswan 5.2 with auto=ondemand before the first packet")
	whack(topo.Left, "--initiate", "--name", "site")
	err = topo.Until(20*time.Second, func() (bool, error) { return len(left.inventory().SAs) >= 2, nil })
	if err != nil {
		t.Fatalf("%v\n%s", err, network.PlutoLog(topo.Left))
	}
	left.record("libreswan-tunnel", "libreswan 5.2 with leftsubnet=10.1.0.0/24 rightsubnet=10.2.0.0/24, up")
}
