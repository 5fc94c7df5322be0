package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What others do while a run works. SAs that come up are heard of (Config.Monitor). Policies are counted instead: who
// listens to the SPD makes the kernel write a notification for each policy that the engine itself puts in or takes out,
// while traffic is held back. What a transaction meets itself, its own answers tell it.

// ErrUnprotected means that somebody else has deleted policies of the plan's tunnels.
var ErrUnprotected = errors.New("policies were deleted by somebody else")

// watchTick is how often the watch looks: an unprotected tunnel is blocked after that long at most, and one message in
// that time costs nothing.
const watchTick = 20 * time.Millisecond

// watch looks after the groups of the plan that no transaction is working on, until the run is over.
type watch struct {
	r    *run
	ctx  context.Context // of the run's work: it ends when the run is told to stop, or when it can't go on
	stop context.CancelFunc
	over chan struct{}
	done sync.WaitGroup

	listening sync.Mutex // held by who reads the Monitor
	looking   sync.Mutex // held by who looks; guards the next three
	count     uint64     // policies when they were last counted
	fewer     bool       // policies have gone, and the groups were not inspected since
	next      time.Time  // when they may be inspected again

	mu     sync.Mutex        // guards everything below
	heard  bool              // SAs were added by others, or some notifications were lost
	gone   bool              // SAs were deleted or have expired, or some notifications were lost
	failed error             // ErrUnprotected and what of
	bare   map[int]bareGroup // those that were found to lack policies and are blocked
	later  map[int]bool      // groups to be inspected when their transaction is through
}

// startWatch starts to watch, if there is something to hear with.
func (r *run) startWatch(ctx context.Context) *watch {
	w := &watch{r: r, over: make(chan struct{}), bare: make(map[int]bareGroup), later: make(map[int]bool)}
	w.ctx, w.stop = context.WithCancel(ctx)
	if r.cfg.Monitor == nil {
		return w
	}
	w.look() // what there was before
	w.done.Go(func() {
		tick := time.NewTicker(watchTick)
		defer tick.Stop()
		for {
			select {
			case <-w.over:
				return
			case <-tick.C:
				w.look()
			}
		}
	})
	return w
}

// check takes a thorough look when the work is done or was broken off, and tells what kept the run from going on. What stays where it was
// moved to is read once more.
func (w *watch) check(stays bool) error {
	w.stop()
	if w.r.cfg.Monitor == nil {
		return nil
	}
	w.lookWell()
	if stays && w.hasFailed() == nil {
		w.lastLook()
	}
	w.settle()
	if w.hasFailed() != nil { // with those that were in flight when the others were inspected
		w.inspectAll()
		w.settle()
	}
	return w.hasFailed()
}

// end stops watching.
func (w *watch) end() {
	close(w.over)
	w.done.Wait()
}

func (w *watch) hasFailed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// lookWell looks, and inspects the groups if policies have gone, however short a time ago they were inspected last.
func (w *watch) lookWell() {
	w.looking.Lock()
	w.next = time.Time{}
	w.looking.Unlock()
	w.look()
}

// look hears what has come in and counts policies.
func (w *watch) look() {
	w.listen()
	w.looking.Lock()
	defer w.looking.Unlock()
	// Between transactions: what one has put in for a moment is not to be counted, nor its message to wait for ours.
	w.r.holding.Lock()
	info, err := w.r.cfg.Conn.SPDInfo()
	w.r.holding.Unlock()
	if err != nil {
		return // the run will meet the same, or has
	}
	now := uint64(info.In) + uint64(info.Out) + uint64(info.Fwd)
	w.fewer = w.fewer || now < w.count
	w.count = now
	switch began := time.Now(); {
	case w.fewer && began.After(w.next):
		w.fewer = false
		w.inspect(w.r.groups())
		// Who deletes policies all the time, an IKE daemon at work, doesn't keep the run from its own.
		w.next = time.Now().Add(9 * time.Since(began))
	default:
		w.inspect(w.takeLater())
	}
	w.judge()
}

// listen hears what has come in.
func (w *watch) listen() {
	w.listening.Lock()
	defer w.listening.Unlock()
	for w.r.cfg.Monitor != nil {
		e, err := w.r.cfg.Monitor.Next(time.Now())
		switch {
		case err == nil, errors.Is(err, xfrm.ErrOverrun):
			w.mu.Lock()
			w.heard = w.heard || err != nil || e.Type == xfrm.MsgNewSA || e.Type == xfrm.MsgUpdSA
			w.gone = w.gone || err != nil || e.Type == xfrm.MsgDelSA || e.Type == xfrm.MsgFlushSA || e.Type == xfrm.MsgExpire && e.Hard
			w.mu.Unlock()
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			w.r.event(Event{Kind: Note, Text: fmt.Sprintf("what others do to the SAD can't be heard: %v", err)})
			return
		}
	}
}

// hasHeard reports whether SAs may have come up since it was asked last.
func (w *watch) hasHeard() bool {
	w.listen()
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := w.heard
	w.heard = false
	return heard
}

// hasHeardOfGone reports whether SAs may have gone while the run was at work. A run moves SAs, which is no going away to the kernel.
func (w *watch) hasHeardOfGone() bool {
	w.listen()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}
