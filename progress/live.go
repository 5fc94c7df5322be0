package progress

import (
	"sync"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// Live is a lane for those who look on from elsewhere and now and then. It is safe for concurrent use.
type Live struct {
	mu   sync.Mutex // guards what follows
	lane *Lane
	news bool
}

// NewLive takes over a lane.
func NewLive(l *Lane) *Live { return &Live{lane: l} }

// Figures are what a bar shows besides counts.
type Figures struct {
	Blocked int           // groups whose traffic may be held back now
	Longest time.Duration // interruption of one group so far
	Left    time.Duration // until the end, by estimate
	Known   bool          // Left is
}

// Take enters an event.
func (v *Live) Take(e *executor.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lane.take(e)
	v.news = true
}

// Figures returns what there is to say now, and whether anything has happened since they were asked for last.
func (v *Live) Figures(now time.Time) (f Figures, news bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news, v.news = v.news, false
	f = Figures{Blocked: v.lane.blocked(), Longest: v.lane.longest}
	f.Left, f.Known = v.lane.left(now)
	return f, news
}
