package main

import (
	"os"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/progress"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// liveEvery is how often a run tells how far it is: nobody who asks for its status looks more often.
const liveEvery = time.Second

// tell writes down now and then how far a run is, for status. take enters its events, and end ends it. A run that can't
// tell goes on all the same.
func tell(state *rollback.StateDir, run string, lane *progress.Lane) (take func(*executor.Event), end func()) {
	live, over, done := progress.NewLive(lane), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(liveEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				_ = state.RemoveProgress(run)
				return
			case now := <-tick.C:
				if f, news := live.Figures(now); news {
					_ = state.WriteProgress(run, progressOf(f, now))
				}
			}
		}
	}()
	return live.Take, func() { close(over); <-done }
}

func progressOf(f progress.Figures, now time.Time) rollback.Progress {
	p := rollback.Progress{Process: os.Getpid(), At: now, Blocked: f.Blocked, Longest: f.Longest}
	if f.Known {
		p.End = now.Add(f.Left)
	}
	return p
}
