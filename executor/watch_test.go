package executor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// watched lets the bench's run see what others do, which is what meddle does in the pause after the first of two waves.
func watched(t *testing.T, b *bench, meddle func()) {
	t.Helper()
	m, err := xfrm.NewMonitor(b.k.Socket(), xfrm.GroupSA)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	b.cfg.Monitor = m
	b.cfg.Recompute = func() (*plan.Plan, *ike.Part, error) {
		c := b.k.Dial()
		defer c.Close()
		sas, err1 := c.SAs()
		policies, err2 := c.Policies()
		return plan.Compute(renumbering(plan.WaveSpec{Name: "all", Percent: 100}), &plan.Inventory{SAs: sas, Policies: policies}), nil, errors.Join(err1, err2)
	}
	b.cfg.Emit = func(e executor.Event) {
		if e.Kind == executor.Pause {
			meddle()
		}
		b.events = append(b.events, e)
	}
}

// inTwoWaves has a pause that no run waits for that has to do something about what it sees.
func inTwoWaves(pause time.Duration) []plan.WaveSpec {
	return []plan.WaveSpec{{Name: "canary", Count: 1}, {Name: "rest", Percent: 100, Pause: pause}}
}

func TestFlushedSPDIsBlockedAgainAndEndsTheRun(t *testing.T) {
	for _, tt := range []struct {
		onError plan.OnError
		want    string
		local   string
	}{
		{plan.OnErrorRollback, "undone undone undone", "192.0.2.1"},
		{plan.OnErrorStop, "done undone undone", "198.51.100.1"},
		{plan.OnErrorContinue, "done undone undone", "198.51.100.1"},
	} {
		t.Run(string(tt.onError), func(t *testing.T) {
			b := newBench(t, 3, nil, inTwoWaves(time.Hour)...)
			b.cfg.OnError = tt.onError
			was := len(policiesOf(b, 0))
			watched(t, b, func() {
				if err := b.k.FlushPolicies(); err != nil {
					t.Error(err)
				}
			})
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if !errors.Is(err, executor.ErrUnprotected) || b.outcomes(r) != tt.want || b.at(0) != tt.local {
				t.Errorf("%v, %s, tunnel at %s", err, b.outcomes(r), b.at(0))
			}
			for i := range 3 {
				if got := policiesOf(b, i); len(got) != was || b.tagged() != 0 {
					t.Errorf("tunnel %d has %d policies, want %d; %d tagged are left", i, len(got), was, b.tagged())
				}
			}
		})
	}
}

// policiesOf lists the policies with a template for the nth tunnel.
func policiesOf(b *bench, n int) (all []*xfrm.Policy) {
	for _, p := range b.k.Snapshot().Policies {
		if len(p.Templates) != 0 && p.Templates[0].Reqid == uint32(n+1) {
			all = append(all, p)
		}
	}
	return all
}

// TestTunnelClosedByItsOwnerIsNoFlush: policies that go together with their SAs are not missed.
func TestTunnelClosedByItsOwnerIsNoFlush(t *testing.T) {
	b := newBench(t, 2, nil, inTwoWaves(100*time.Millisecond)...)
	watched(t, b, func() {
		c := b.k.Dial()
		defer c.Close()
		var reqs []xfrm.Request
		for _, p := range policiesOf(b, 0) {
			reqs = append(reqs, xfrm.DeletePolicy(p))
		}
		for _, sa := range b.k.Snapshot().SAs {
			if sa.Reqid == 1 {
				reqs = append(reqs, xfrmtest.DeleteSA(sa.ID, sa.Mark))
			}
		}
		if err := errors.Join(c.Do(reqs...)...); err != nil {
			t.Error(err)
		}
	})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done" || b.tagged() != 0 {
		t.Errorf("%v, %s, %d tagged", err, b.outcomes(r), b.tagged())
	}
}

func TestRekeyedGroupIsComputedAgain(t *testing.T) {
	b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
	watched(t, b, func() {
		for i, sa := range []xfrm.SA{b.tunnels[1].In, b.tunnels[1].Out} {
			if err := b.k.Rekey(sa.ID, sa.Mark, xfrm.SPI(0xe0000001+i), true); err != nil {
				t.Error(err)
			}
		}
	})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done" || b.at(1) != "198.51.100.1" {
		t.Errorf("%v, %s, tunnel at %s", err, b.outcomes(r), b.at(1))
	}
	if b.journal.intents != 3 {
		t.Errorf("%d intents, want one for what was computed again", b.journal.intents)
	}
	if problems := strings.Join(r.Groups[1].Problems, " "); !strings.Contains(problems, "computed again") {
		t.Errorf("the report says %q", problems)
	}
}

// TestRekeyedGroupIsUndoneAsItWas: what was computed again is what is undone when a later wave fails.
func TestRekeyedGroupIsUndoneAsItWas(t *testing.T) {
	waves := []plan.WaveSpec{{Name: "canary", Count: 1}, {Name: "second", Count: 1, Pause: time.Millisecond}, {Name: "rest", Percent: 100, Pause: time.Millisecond}}
	b := newBench(t, 3, nil, waves...)
	pauses := 0
	watched(t, b, func() {
		in, out := b.tunnels[1].In, b.tunnels[1].Out
		var err error
		if pauses++; pauses == 1 {
			err = errors.Join(b.k.Rekey(in.ID, in.Mark, 0xe0000001, true), b.k.Rekey(out.ID, out.Mark, 0xe0000002, true))
		} else {
			err = b.k.DeleteSA(b.tunnels[2].Out.ID, b.tunnels[2].Out.Mark)
		}
		if err != nil {
			t.Error(err)
		}
	})
	b.cfg.Journal = onlyThrice{&b.journal}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "undone undone untouched" || b.at(1) != "192.0.2.1" || b.tagged() != 0 {
		t.Errorf("%v, %s, tunnel at %s, %d tagged", err, b.outcomes(r), b.at(1), b.tagged())
	}
}

// onlyThrice is a journal that takes the intents of two waves and of what is computed again, and no more.
type onlyThrice struct{ *notes }

func (o onlyThrice) Intend(txs []executor.Transaction) error {
	if o.intents >= 3 {
		return errors.New("the disk is full")
	}
	return o.notes.Intend(txs)
}

func TestStragglersAreMovedInTheEnd(t *testing.T) {
	b := newBench(t, 2, nil, inTwoWaves(time.Millisecond)...)
	watched(t, b, func() {
		late := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: 7, Local: b.tunnels[0].Out.SrcIP(), Remote: b.tunnels[0].Out.DstIP(), Dir: true})
		c := b.k.Dial()
		defer c.Close()
		if err := xfrmtest.Install(c, late...); err != nil {
			t.Error(err)
		}
	})
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done done done" || b.at(7) != "198.51.100.1" {
		t.Errorf("%v, %s, the late tunnel is at %s", err, b.outcomes(r), b.at(7))
	}
	if !strings.HasSuffix(r.Groups[2].Name, "straggler 1") {
		t.Errorf("the report names it %q", r.Groups[2].Name)
	}
	if !slices.ContainsFunc(b.events, func(e executor.Event) bool { return e.Kind == executor.WaveStarted && e.Wave == "stragglers 1" }) {
		t.Error("no event tells of the wave")
	}
}
