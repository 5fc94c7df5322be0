package rollback_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestRecoveryKeepsTheOldPolicyUntilTheNewOneIsIn has a run killed at each point, and the kernel refuse each policy request of
// the recovery in turn. Random runs have found that a policy went whose successor over other packets had been refused:
// inbound packets were accepted in the clear.
func TestRecoveryKeepsTheOldPolicyUntilTheNewOneIsIn(t *testing.T) {
	for _, s := range shapes {
		if !s.reselected {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			ran := 0
			for _, at := range faultless(t, s) {
				if at.journal || at.at != xfrmtest.AfterSend {
					continue
				}
				c := cell{shapes: []shape{s}, first: processFaults(at)[0], towards: executor.Undone}
				_, points := c.run(t)
				for _, second := range points {
					for _, f := range kernelFaults(second) {
						if f.name != "ENOMEM" {
							continue
						}
						ran++
						c.second = f
						if wrong, _ := c.run(t); len(wrong) != 0 {
							t.Errorf("%v:\n\t%s", c, strings.Join(wrong, "\n\t"))
						}
					}
				}
			}
			if ran == 0 {
				t.Error("the recoveries have no policy request")
			}
		})
	}
}

// bypassed is a world with a tunnel and, over each of its policies, a younger one of equal priority that lets the tunnel's
// packets pass in the clear.
func bypassed(t *testing.T) (w *world, bypasses []xfrm.Policy) {
	t.Helper()
	w = newWorld(t, shapes[0])
	t.Cleanup(w.remove)
	c := w.k.Dial()
	defer c.Close()
	for _, p := range w.tunnels[0].Policies {
		p.Templates = nil
		p.Sel.Src, p.Sel.SrcLen = xfrm.Address{p.Sel.Src[0]}, 8 // 10.0.0.0 or fd00::
		bypasses = append(bypasses, p)
		if err := c.Do(xfrm.NewPolicy(&p))[0]; err != nil {
			t.Fatal(err)
		}
	}
	return w, bypasses
}

// stand checks that the bypasses are as they were and that nothing is left behind.
func (w *world) stand(t *testing.T, bypasses []xfrm.Policy, when string) {
	t.Helper()
	s := w.k.Snapshot()
	for i := range bypasses {
		if !has(s, &bypasses[i]) {
			t.Errorf("%s: %v %v is not as it was", when, bypasses[i].Dir, bypasses[i].Sel)
		}
	}
	if n := len(s.Policies); n != 12 || slices.ContainsFunc(s.Policies, func(p *xfrm.Policy) bool { return p.Tagged() }) {
		t.Errorf("%s: %d policies, want the tunnel's 6 and 6 bypasses", when, n)
	}
	for _, wrong := range w.watch.wrong {
		t.Errorf("%s: %s", when, wrong)
	}
}

// TestRollbackTakesTheBlockOffABypass: it is rewritten after the tunnel's policies, is blocked meanwhile, and is no less
// whole for not protecting anything.
func TestRollbackTakesTheBlockOffABypass(t *testing.T) {
	w, bypasses := bypassed(t)
	if _, err := w.apply(start(fault{})); err != nil {
		t.Fatal(err)
	}
	w.stand(t, bypasses, "applied")
	runs, err := w.state.Runs()
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	past, err := w.state.ReadJournal(runs[0])
	if err != nil {
		t.Fatal(err)
	}
	c := w.k.Dial()
	defer c.Close()
	report, err := w.state.Settle(t.Context(), past, executor.Undone, c, w.hear)
	if err != nil {
		t.Fatal(err)
	}
	w.watch.settled(w.outcomes(report))
	w.stand(t, bypasses, "undone")
}

// TestKilledInTheMiddleOfASwitchByAge kills a run at each of its points and its recovery at each of its own: at no instant
// may the younger policy be the one that packets meet.
func TestKilledInTheMiddleOfASwitchByAge(t *testing.T) {
	w, _ := bypassed(t)
	p := start(fault{})
	if _, err := w.apply(p); err != nil {
		t.Fatal(err)
	}
	ran, pairs := 0, 0
	for _, towards := range []executor.Outcome{executor.Undone, executor.Done} {
		for _, at := range p.points {
			if at.journal {
				continue
			}
			first := processFaults(at)[0]
			recovery := killedByAge(t, first, fault{}, towards)
			for _, second := range recovery {
				if second.journal || second.at != xfrmtest.AfterSend {
					continue
				}
				if pairs++; *whole || pairs%7 == 0 {
					ran++
					killedByAge(t, first, processFaults(second)[0], towards)
				}
			}
		}
	}
	if pairs < 100 || ran == 0 {
		t.Errorf("%d of %d pairs", ran, pairs)
	}
}

// killedByAge returns the points of the recovery.
func killedByAge(t *testing.T, first, second fault, towards executor.Outcome) []point {
	t.Helper()
	w, bypasses := bypassed(t)
	defer w.remove()
	_, _ = w.apply(start(first)) // it is killed
	p := start(second)
	if err := w.recover(p, towards); err != nil && p.alive() {
		t.Fatal(err)
	}
	if !p.alive() {
		if err := w.recover(start(fault{}), towards); err != nil {
			t.Fatal(err)
		}
	}
	w.stand(t, bypasses, cell{shapes: w.shapes, first: first, second: second}.String())
	return p.points
}
