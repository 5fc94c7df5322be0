//go:build lab

package examples

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// situation is one that a plan is for.
type situation struct {
	name  string
	plans map[topo.Namespace]string // the plan of each gateway that applies one

	setUp func(t *testing.T, n *topo.Network)
	// pings are addresses in the right network that the left one pings all the while.
	pings []string
	// moved gives what the plan makes of an SA or a policy of a gateway, as `ip xfrm` shows it. What is not for it comes back as it is.
	moved func(ns topo.Namespace, shown string) string
	// quiet is called before and after the move while there are no pings; nil if there is nothing to be done then.
	quiet func(t *testing.T, moved bool)
	// look checks what else is special about the situation.
	look func(t *testing.T, seen *seen)
}

// seen is what came of applying the plans.
type seen struct {
	start, end time.Time
	packets    []topo.Packet // that the gateways sent, from before the start until after the end
	notices    map[topo.Namespace][]topo.Notice
}

func (s *situation) run(t *testing.T) {
	n, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	s.setUp(t, n)
	before := make(map[topo.Namespace][]string)
	for _, ns := range topo.Gateways {
		before[ns] = show(t, ns)
	}
	captures := capture(t)
	if s.quiet != nil {
		s.quiet(t, false)
	}
	pings := startPings(t, s.pings)
	var o seen
	o.notices = listen(t, func() { o.start, o.end = s.apply(t, n) })
	pings.stop(t)
	if s.quiet != nil && !t.Failed() {
		s.quiet(t, true)
	}
	o.packets = captures.stop(t)
	encrypted(t, o.packets)
	for _, ns := range topo.Gateways {
		s.check(t, ns, before[ns])
	}
	for ns, plan := range s.plans {
		if c := n.CheckAgain(ns, plan); c.Err != nil {
			t.Errorf("%s: %v", c.What, c.Err)
		}
	}
	if s.look != nil {
		s.look(t, &o)
	}
}

// apply applies the plans on their gateways at the same time, as their comments say.
func (s *situation) apply(t *testing.T, n *topo.Network) (start, end time.Time) {
	t.Helper()
	start = time.Now()
	var all sync.WaitGroup
	for ns, plan := range s.plans {
		all.Go(func() {
			got, err := n.Run(ns, "apply", plan, "--yes")
			if err != nil || got.Code != 0 {
				t.Errorf("apply %s on %s: exit code %d, %v\n%s", plan, ns, got.Code, err, got.Output)
			}
		})
	}
	all.Wait()
	return start, time.Now()
}

// check compares SAD and SPD with what they should have become, all of them and with every property: what the plan does not name must be
// as it was, and nothing may have come along.
func (s *situation) check(t *testing.T, ns topo.Namespace, before []string) {
	t.Helper()
	want := slices.Clone(before)
	changed := 0
	for i := range want {
		if want[i] = s.moved(ns, before[i]); want[i] != before[i] {
			changed++
		}
	}
	if changed == 0 && s.plans[ns] != "" {
		t.Errorf("the situation expects no change on %s", ns)
	}
	slices.Sort(want)
	got := show(t, ns)
	for _, shown := range got {
		if !slices.Contains(want, shown) {
			t.Errorf("%s has\n%s", ns, shown)
		}
	}
	for _, shown := range want {
		if !slices.Contains(got, shown) {
			t.Errorf("%s does not have\n%s", ns, shown)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s has %d SAs and policies, want %d", ns, len(got), len(want))
	}
	policies, err := ns.SPD()
	if err := errors.Join(err, topo.Unblocked(policies)); err != nil {
		t.Errorf("%s: %v", ns, err)
	}
}

// captures are of everything that the gateways send.
type captures []*topo.Capture

func capture(t *testing.T) (all captures) {
	t.Helper()
	dir := t.TempDir()
	for _, iface := range []string{topo.LeftUplinks[0], topo.LeftUplinks[1], topo.RightUplink} {
		c, err := topo.StartCapture(iface, filepath.Join(dir, iface))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func (all captures) stop(t *testing.T) (packets []topo.Packet) {
	t.Helper()
	for _, c := range all {
		some, err := c.Stop()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, some...)
	}
	return packets
}

// encrypted says whether no ping left a gateway in the clear: they are all the traffic that the tunnels are for.
func encrypted(t *testing.T, packets []topo.Packet) {
	t.Helper()
	if len(packets) == 0 {
		t.Error("nothing was captured")
	}
	for i := range packets {
		if p := &packets[i]; p.Inner() || isPing(p) {
			t.Errorf("in the clear: %v > %v, protocol %d, at %v", p.Src, p.Dst, p.Proto, p.At)
			return
		}
	}
}

// isPing is about ICMP in the clear; neighbours that look for each other are none.
func isPing(p *topo.Packet) bool {
	const icmp, icmp6, echoRequest6, echoReply6 = 1, 58, 128, 129
	return p.Proto == icmp || p.Proto == icmp6 && len(p.Payload) > 0 && (p.Payload[0] == echoRequest6 || p.Payload[0] == echoReply6)
}

// listen hears both kernels while f runs.
func listen(t *testing.T, f func()) map[topo.Namespace][]topo.Notice {
	t.Helper()
	listeners := make(map[topo.Namespace]*topo.Listener)
	for _, ns := range topo.Gateways {
		l, err := topo.Listen(ns)
		if err != nil {
			t.Fatal(err)
		}
		listeners[ns] = l
	}
	f()
	heard := make(map[topo.Namespace][]topo.Notice)
	for ns, l := range listeners {
		notices, err := l.Stop()
		if err != nil {
			t.Errorf("listening on %s: %v", ns, err)
		}
		heard[ns] = notices
	}
	return heard
}
