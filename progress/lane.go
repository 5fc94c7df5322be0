package progress

import (
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

// Lane is how far the run in one network namespace is, by its events. A Bar guards it.
type Lane struct {
	total   int           // groups; more than were planned where others came up meanwhile
	pauses  time.Duration // those still to come
	ends    map[string]executor.Kind
	flight  map[string]bool // groups that have been started and have not come to an end
	count   map[executor.Kind]int
	longest time.Duration

	began    time.Time
	idled    time.Duration // pauses that are over
	pauseEnd time.Time     // of the pause that is on; zero outside of one
	pauseLen time.Duration

	ended   bool
	undoing bool
	toUndo  int // when it began to undo
	undone  int // since then
}

// ForPlan is the lane of a plan that is applied.
func ForPlan(p *plan.Plan) *Lane {
	l := newLane(len(p.Groups))
	for i := range p.Waves {
		l.pauses += p.Waves[i].Pause
	}
	return l
}

// ForGroups is the lane of a run that is brought back, or on.
func ForGroups(n int) *Lane { return newLane(n) }

func newLane(total int) *Lane {
	return &Lane{total: total, ends: map[string]executor.Kind{}, flight: map[string]bool{}, count: map[executor.Kind]int{}}
}

func (l *Lane) take(e *executor.Event) {
	if l.began.IsZero() {
		l.began = e.Time
	}
	switch e.Kind {
	case executor.Pause:
		l.pauses -= e.Span
		l.pauseEnd, l.pauseLen = e.Time.Add(e.Span), e.Span
	case executor.WaveStarted:
		if !l.pauseEnd.IsZero() {
			l.idled += l.pauseLen
			l.pauseEnd = time.Time{}
		}
	case executor.GroupStarted:
		l.flight[e.Group] = true
	case executor.Undoing:
		l.undoing, l.toUndo, l.undone = true, e.Total, 0
		l.began, l.idled, l.pauseEnd = e.Time, 0, time.Time{}
	case executor.RunEnded:
		l.ended = true
	case executor.GroupDone, executor.GroupUndone, executor.GroupStuck, executor.GroupUnknown, executor.GroupSkipped,
		executor.GroupNotFollowed:
		delete(l.flight, e.Group)
		l.total = max(l.total, e.Total) // what came up at the old addresses meanwhile is moved too
		if before, ok := l.ends[e.Group]; ok {
			l.count[before]--
		}
		l.ends[e.Group] = e.Kind
		l.count[e.Kind]++
		l.longest = max(l.longest, e.Span)
		if l.undoing {
			l.undone++
		}
	}
}

// blocked is how many groups' traffic may be held back now: of those in flight nothing is heard until it flows again.
func (l *Lane) blocked() int {
	return len(l.flight) + l.count[executor.GroupStuck] + l.count[executor.GroupUnknown]
}

// left estimates how long it still takes, from how long it took so far. It can't before the first group is through.
func (l *Lane) left(now time.Time) (time.Duration, bool) {
	through, all := len(l.ends), l.total
	if l.undoing {
		through, all = l.undone, l.toUndo
	}
	if through >= all {
		return 0, true
	}
	if through == 0 {
		return 0, false
	}
	worked, pauses := now.Sub(l.began)-l.idled, l.pauses
	if !l.pauseEnd.IsZero() {
		rest := max(0, l.pauseEnd.Sub(now))
		worked -= l.pauseLen - rest
		pauses += rest
	}
	if l.undoing {
		pauses = 0
	}
	return time.Duration(float64(max(0, worked))/float64(through)*float64(all-through)) + pauses, true
}
