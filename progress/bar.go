package progress

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// redraw is how often the bar is drawn: often enough to look alive, seldom enough to take nothing from the run.
const redraw = 200 * time.Millisecond

// Bar is the last line of a terminal, with what is written to it scrolling away above. Safe for concurrent use.
type Bar struct {
	out     *Queue
	columns func() int // of the terminal now; 0 if that can't be told
	paint   Paint
	lanes   []*Lane

	mu     sync.Mutex // guards the lanes and what follows
	drawn  int        // the columns that the terminal had when the bar was drawn that is there; 0 if none is
	closed bool
	stop   chan struct{}
	end    chan struct{}
}

// NewBar starts to draw a bar for the lanes.
func NewBar(out *Queue, columns func() int, paint Paint, lanes ...*Lane) *Bar {
	b := &Bar{out: out, columns: columns, paint: paint, lanes: lanes, stop: make(chan struct{}), end: make(chan struct{})}
	go b.run()
	return b
}

func (b *Bar) run() {
	defer close(b.end)
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case now := <-tick.C:
			b.draw(now)
		}
	}
}

// Take enters an event of one of the lanes.
func (b *Bar) Take(l *Lane, e executor.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.take(&e)
}

// erase clears the line of the bar, at the beginning of which the cursor is. A terminal that was made narrower may have
// broken it into several: all of them are from there on.
func (b *Bar) erase(columns int) string {
	if columns < b.drawn {
		return "\r\x1b[J" // only then: tmux keeps what this clears if it is the whole screen
	}
	return "\r\x1b[K"
}

// A terminal that has been made narrower since its width was asked for cuts the bar off instead of breaking it.
const (
	wrapOff = "\x1b[?7l"
	wrapOn  = "\x1b[?7h"
)

// draw draws the bar unless the terminal has yet to take what came before: frames are not worth to wait for.
func (b *Bar) draw(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !b.out.Idle() {
		return
	}
	if !slices.ContainsFunc(b.lanes, func(l *Lane) bool { return !l.ended }) { // they may await confirmation yet
		b.clear()
		return
	}
	columns := b.width()
	f := sum(b.lanes, now)
	fmt.Fprint(b.out, b.erase(columns)+wrapOff+f.line(columns-1, b.paint)+wrapOn+"\r")
	b.drawn = columns
}

func (b *Bar) width() int {
	if columns := b.columns(); columns > 0 {
		return columns
	}
	return 80 // what terminals have that don't say
}

// clear takes the bar off the terminal.
func (b *Bar) clear() {
	if b.drawn != 0 {
		fmt.Fprint(b.out, b.erase(b.width()))
		b.drawn = 0
	}
}

// Write writes whole lines above the bar.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	return b.out.Write(p)
}

// Close takes the bar away. What is written after it goes to the terminal as it is.
func (b *Bar) Close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	b.clear()
	b.mu.Unlock()
	close(b.stop)
	<-b.end
}
