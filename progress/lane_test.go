package progress

import (
	"fmt"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

func TestEstimateKnowsPausesAndUndoing(t *testing.T) {
	begun := time.Now()
	p := &plan.Plan{Groups: make([]plan.Group, 10), Waves: []plan.Wave{{Name: "canary"}, {Name: "some", Pause: 30 * time.Second}, {Name: "rest", Pause: time.Minute}}}
	l := ForPlan(p)
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	groups := func(kind executor.Kind, second, from, to int) {
		for i := from; i < to; i++ {
			l.take(&executor.Event{Time: at(second), Kind: kind, Group: fmt.Sprint(i)})
		}
	}
	expect := func(second int, want time.Duration, blocked int) {
		t.Helper()
		got, known := l.left(at(second))
		if known != (want >= 0) || known && got != want || l.blocked() != blocked {
			t.Errorf("after %d s: %v (known: %v) and %d blocked, want %v and %d", second, got, known, l.blocked(), want, blocked)
		}
	}
	l.take(&executor.Event{Time: at(0), Kind: executor.RunStarted})
	expect(1, -1, 0)
	groups(executor.GroupStarted, 1, 0, 2)
	expect(1, -1, 2)
	groups(executor.GroupDone, 4, 0, 2)
	expect(4, 8*2*time.Second+90*time.Second, 0) // 2 s for each of the 8 that are left, and both pauses
	l.take(&executor.Event{Time: at(4), Kind: executor.Pause, Span: 30 * time.Second})
	expect(14, 8*2*time.Second+80*time.Second, 0)
	l.take(&executor.Event{Time: at(34), Kind: executor.WaveStarted})
	expect(34, 8*2*time.Second+60*time.Second, 0)
	groups(executor.GroupDone, 40, 2, 5)
	expect(40, 5*2*time.Second+60*time.Second, 0)
	groups(executor.GroupStuck, 42, 5, 6)
	expect(42, 4*2*time.Second+60*time.Second, 1)
	l.take(&executor.Event{Time: at(42), Kind: executor.Undoing, Total: 5})
	expect(43, -1, 1)
	groups(executor.GroupUndone, 44, 4, 5)
	expect(44, 8*time.Second, 1)
	groups(executor.GroupUndone, 52, 0, 4)
	expect(52, 0, 1)
}

// TestGroupsThatCameUpMeanwhileCount moves a third group in a run that was planned for two.
func TestGroupsThatCameUpMeanwhileCount(t *testing.T) {
	l := ForGroups(2)
	for i, g := range []string{"a", "b", "b, straggler 1"} {
		l.take(&executor.Event{Time: time.Now(), Kind: executor.GroupStarted, Group: g})
		l.take(&executor.Event{Time: time.Now(), Kind: executor.GroupDone, Group: g, Total: max(2, i+1)})
	}
	f := sum([]*Lane{l}, time.Now())
	want := "[##############################]  3 of 3 groups done  blocked now 0  ETA 0s"
	if got := f.line(120, false); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
