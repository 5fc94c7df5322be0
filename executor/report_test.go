package executor_test

import (
	"encoding/json"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestReportTellsWhatTheKernelAnsweredAndWhatWasVerified undoes a run whose second group the kernel refuses.
func TestReportTellsWhatTheKernelAnsweredAndWhatWasVerified(t *testing.T) {
	b := newBench(t, 3, refuse(xfrm.MsgMigrateState, 3, unix.EEXIST), plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	begun := time.Now()
	r, _ := executor.Run(t.Context(), b.plan, b.cfg)
	over := time.Now()
	if got := b.outcomes(r); got != "undone undone untouched" {
		t.Fatal(got)
	}
	first, second, third := &r.Groups[0], &r.Groups[1], &r.Groups[2]
	if len(first.Spans) != 2 || len(first.Answers) != 0 || first.Wave != "canary" {
		t.Errorf("a group that was moved and brought back: %+v", first)
	}
	if len(second.Spans) != 1 || len(second.Answers) != 1 || second.Wave != "rest" {
		t.Fatalf("a group that the kernel refused: %+v", second)
	}
	if a := second.Answers[0]; a.Request != "MIGRATE_STATE" || a.Errno != "EEXIST" {
		t.Errorf("the kernel's answer is given as %+v", a)
	}
	for _, g := range []*executor.GroupResult{first, second} {
		if g.SAsVerified != 2 || g.PoliciesVerified != 6 || g.Verified.Before(begun) || g.Verified.After(over) {
			t.Errorf("%s was verified: %+v", g.Name, g)
		}
		sum := time.Duration(0)
		for _, s := range g.Spans {
			sum += s.Span
			if s.From.Before(begun) || s.From.Add(s.Span).After(over) || s.Span <= 0 {
				t.Errorf("%s was blocked for %v from %v; the run was from %v to %v", g.Name, s.Span, s.From, begun, over)
			}
		}
		if sum != g.Blocked {
			t.Errorf("%s was blocked for %v in all, but its spans sum up to %v", g.Name, g.Blocked, sum)
		}
	}
	if third.Blocked != 0 || len(third.Spans) != 0 || !third.Verified.IsZero() {
		t.Errorf("a group that was not touched: %+v", third)
	}
	want := max(first.Spans[0].Span, first.Spans[1].Span, second.Spans[0].Span)
	if d, group := r.Longest(); d != want || group == third.Name {
		t.Errorf("longest interruption %v of %q, want %v", d, group, want)
	}
}

// TestEventsTellAllThatTheReportSays rebuilds the groups' ends from events that went through JSON, as a reader of
// `--output json` would.
func TestEventsTellAllThatTheReportSays(t *testing.T) {
	b := newBench(t, 5, func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.AfterSend && at.Has(xfrm.MsgMigrateState) {
			return xfrmtest.Effect{Lose: true}
		}
		return xfrmtest.Effect{}
	})
	b.cfg.OnError = plan.OnErrorContinue
	r, _ := executor.Run(t.Context(), b.plan, b.cfg)
	type end struct {
		kind          executor.Kind
		blocked       time.Duration
		sas, policies int
		texts         int
	}
	heard := map[string]end{}
	for _, e := range b.events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back executor.Event
		if err := json.Unmarshal(line, &back); err != nil {
			t.Fatal(err)
		}
		got := heard[back.Group]
		switch back.Kind {
		case executor.GroupDone, executor.GroupUndone, executor.GroupStuck, executor.GroupUnknown, executor.GroupSkipped:
			got.kind, got.sas, got.policies = back.Kind, back.SAs, back.Policies
			got.blocked += back.Span
		}
		if back.Text != "" {
			got.texts++
		}
		heard[back.Group] = got
	}
	for _, g := range r.Groups {
		want := end{map[executor.Outcome]executor.Kind{
			executor.Done: executor.GroupDone, executor.Undone: executor.GroupUndone, executor.Stuck: executor.GroupStuck,
			executor.Unknown: executor.GroupUnknown, executor.Untouched: executor.GroupSkipped,
		}[g.Outcome], g.Blocked, g.SAsVerified, g.PoliciesVerified, len(g.Problems)}
		if heard[g.Name] != want {
			t.Errorf("%s: the report says %+v, the events %+v", g.Name, want, heard[g.Name])
		}
	}
}

// TestFinishBlocksNothingThatIsSettled finds out that a group needs nothing, and reports no interruption of it.
func TestFinishBlocksNothingThatIsSettled(t *testing.T) {
	b := moved(t, 1)
	r, err := executor.Finish(t.Context(), b.transactions(), executor.Done, b.cfg)
	if err != nil || b.outcomes(r) != "done" || r.Groups[0].Blocked != 0 || r.Groups[0].SAsVerified != 2 {
		t.Errorf("%v, %+v", err, r.Groups[0])
	}
}
