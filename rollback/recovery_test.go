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

// TestRollbackTakesTheBlockOffABypass has a younger policy of equal priority that lets the tunnel's packets pass in the
// clear: it is rewritten after the tunnel's, is blocked meanwhile, and is no less whole for not protecting anything.
func TestRollbackTakesTheBlockOffABypass(t *testing.T) {
	w := newWorld(t, shapes[0])
	c := w.k.Dial()
	defer c.Close()
	var bypasses []xfrm.Policy
	for _, p := range w.tunnels[0].Policies {
		p.Templates = nil
		p.Sel.SrcLen, p.Sel.DstLen = p.Sel.SrcLen/2, p.Sel.DstLen/2
		p.Sel.Src, p.Sel.Dst = xfrm.Address{p.Sel.Src[0]}, xfrm.Address{p.Sel.Dst[0]}
		bypasses = append(bypasses, p)
		if err := c.Do(xfrm.NewPolicy(&p))[0]; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.apply(start(fault{})); err != nil {
		t.Fatal(err)
	}
	runs, err := w.state.Runs()
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	past, err := w.state.ReadJournal(runs[0])
	if err != nil {
		t.Fatal(err)
	}
	report, err := w.state.Settle(t.Context(), past, executor.Undone, c, w.hear)
	if err != nil {
		t.Fatal(err)
	}
	w.watch.settled(w.outcomes(report))
	s := w.k.Snapshot()
	for i := range bypasses {
		if !has(s, &bypasses[i]) {
			t.Errorf("%v %v is not as it was", bypasses[i].Dir, bypasses[i].Sel)
		}
	}
	if n := len(s.Policies); n != 12 || slices.ContainsFunc(s.Policies, func(p *xfrm.Policy) bool { return p.Tagged() }) {
		t.Errorf("%d policies, want the tunnel's 6 and 6 bypasses", n)
	}
	for _, wrong := range w.watch.wrong {
		t.Error(wrong)
	}
}
