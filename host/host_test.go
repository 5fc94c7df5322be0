package host

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

func TestOpenRefusesNamesThatArePaths(t *testing.T) {
	for _, name := range []string{"../../etc", "a/b", ".", ".."} {
		if ns, err := Open(name); err == nil {
			ns.Close()
			t.Errorf("Open(%q) succeeded", name)
		}
	}
}

// disturbed rewrites a policy whenever a dump of the SPD is asked for, a given number of times.
func disturbed(k *xfrmtest.Kernel, p xfrm.Policy, times int) *xfrm.Conn {
	return xfrm.NewConn(xfrmtest.Faulty(k.Socket(), func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point != xfrmtest.BeforeSend || len(at.Messages) == 0 || at.Messages[0].Type != xfrm.MsgGetPolicy || times == 0 {
			return xfrmtest.Effect{}
		}
		times--
		return xfrmtest.Effect{Run: func() { _ = k.RewritePolicy(p) }}
	}))
}

func kernelWithTunnel(t *testing.T) (*xfrmtest.Kernel, xfrm.Policy) {
	t.Helper()
	k := xfrmtest.New()
	c := k.Dial()
	defer c.Close()
	child := xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 1, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"),
	})
	if err := xfrmtest.Install(c, child...); err != nil {
		t.Fatal(err)
	}
	return k, child[0].Policies[0]
}

func watch(t *testing.T, k *xfrmtest.Kernel) *xfrm.Monitor {
	t.Helper()
	m, err := xfrm.NewMonitor(k.Socket(), xfrm.GroupSA, xfrm.GroupPolicy, xfrm.GroupMigrate)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInventoryIsReadAgainWhenTablesChangeMeanwhile(t *testing.T) {
	k, p := kernelWithTunnel(t)
	inv, err := stillInventory(k.Dial(), disturbed(k, p, 3), watch(t, k))
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.SAs) != 2 || len(inv.Policies) != 6 {
		t.Errorf("got %d SAs and %d policies, want 2 and 6", len(inv.SAs), len(inv.Policies))
	}
}

func TestInventoryGivesUpOnTablesThatNeverHoldStill(t *testing.T) {
	k, p := kernelWithTunnel(t)
	if _, err := stillInventory(k.Dial(), disturbed(k, p, 1000), watch(t, k)); !errors.Is(err, ErrRestless) {
		t.Errorf("got error %v, want ErrRestless", err)
	}
}
