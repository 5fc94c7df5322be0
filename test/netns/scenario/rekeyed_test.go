//go:build lab

package scenario

import (
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestRollbackAfterTheDaemonRekeyed moves the tunnel in both kernels and lets strongSwan re-key it, which knows of no move: its new SAs and
// policies are at the old addresses, and of the SAs that were moved it deletes the ones that it still finds. rollback finds the Child SA
// by what has stayed, brings back what is left of the moved one, and leaves the new SAs alone.
func TestRollbackAfterTheDaemonRekeyed(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	ping, err := topo.StartPing(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	defer ping.Stop()
	answered := func(when string) {
		t.Helper()
		if err := ping.Answered(20, time.Minute); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	before := make(map[topo.Namespace]topo.Snapshot)
	for _, ns := range topo.Gateways {
		before[ns] = snapOf(t, ns)
		apply(t, n, ns, topo.PlanISPChange)
	}
	answered("moved")
	if out, err := n.Swanctl(topo.Left, "--rekey", "--child", "lan"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fresh := func(ns topo.Namespace) (all []topo.SA) {
		for _, sa := range snapOf(t, ns).SAs {
			if !slices.ContainsFunc(before[ns].SAs, func(old topo.SA) bool { return old.SPI == sa.SPI }) {
				all = append(all, sa)
			}
		}
		return all
	}
	for _, ns := range topo.Gateways {
		if err := topo.Until(time.Minute, func() (bool, error) { return len(fresh(ns)) == 2, nil }); err != nil {
			t.Fatalf("%s has %d SAs of the re-key: %v", ns, len(fresh(ns)), err)
		}
	}
	for _, ns := range topo.Gateways {
		rekeyed := fresh(ns)
		o, err := n.Run(ns, "rollback", "--yes")
		if err != nil || o.Code != 0 {
			t.Fatalf("rollback on %s: exit code %d, %v\n%s", ns, o.Code, err, o.Output)
		}
		t.Logf("rollback on %s:\n%s", ns, o.Output)
		after := snapOf(t, ns)
		for _, sa := range after.SAs {
			if sa.Src == topo.LeftISPB || sa.Dst == topo.LeftISPB {
				t.Errorf("%s: SA %08x is still at %v > %v", ns, sa.SPI, sa.Src, sa.Dst)
			}
		}
		for _, sa := range rekeyed {
			i := slices.IndexFunc(after.SAs, func(x topo.SA) bool { return x.SPI == sa.SPI })
			if i < 0 || after.SAs[i].Src != sa.Src || after.SAs[i].Dst != sa.Dst || after.SAs[i].Keys != sa.Keys {
				t.Errorf("%s: SA %08x of the re-key, at %v > %v, is gone or has moved", ns, sa.SPI, sa.Src, sa.Dst)
			}
		}
		if err := topo.Unblocked(after.Policies); err != nil {
			t.Errorf("%s: %v", ns, err)
		}
		for _, p := range before[ns].Policies {
			if !slices.ContainsFunc(after.Policies, func(q topo.Policy) bool {
				return q.Selector == p.Selector && q.Dir == p.Dir && q.Priority == p.Priority && q.Template == p.Template
			}) {
				t.Errorf("%s: no policy %v", ns, p)
			}
		}
		if len(after.Policies) != len(before[ns].Policies) {
			t.Errorf("%s: %d policies, before it %d", ns, len(after.Policies), len(before[ns].Policies))
		}
	}
	answered("rolled back")
}

func snapOf(t *testing.T, ns topo.Namespace) topo.Snapshot {
	t.Helper()
	s, err := topo.Snap(ns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
