package progress

import (
	"io"
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
	drawn  bool
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

// erase clears the line of the bar. The cursor is at its beginning: a terminal that was made narrower has broken the bar
// into several lines, and all of them are from there on.
const erase = "\r\x1b[J"

// draw draws the bar unless the terminal has yet to take what came before: frames are not worth to wait for.
func (b *Bar) draw(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !b.out.Idle() {
		return
	}
	if !slices.ContainsFunc(b.lanes, func(l *Lane) bool { return !l.ended }) { // they may await confirmation yet
		if b.drawn {
			b.drawn = false
			io.WriteString(b.out, erase)
		}
		return
	}
	columns := b.columns()
	if columns == 0 {
		columns = 80
	}
	f := sum(b.lanes, now)
	b.drawn = true
	io.WriteString(b.out, erase+f.line(columns-1, b.paint)+"\r") // a full line would wrap on some terminals
}

// Write writes whole lines above the bar.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		b.drawn = false
		p = append([]byte(erase), p...)
	}
	b.out.Write(p)
	return len(p), nil
}

// Close takes the bar away. What is written after it goes to the terminal as it is.
func (b *Bar) Close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	if b.drawn {
		b.drawn = false
		io.WriteString(b.out, erase)
	}
	b.mu.Unlock()
	close(b.stop)
	<-b.end
}
