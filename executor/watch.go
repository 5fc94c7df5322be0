package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
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

// watch looks after the groups of the plan that no transaction is working on.
type watch struct {
	r     *run
	ctx   context.Context // of the run's work: it ends when the run is told to stop, or when it can't go on
	stop  context.CancelFunc
	done  sync.WaitGroup
	count uint64 // policies when they were last counted

	listening sync.Mutex // held by who reads the Monitor

	mu     sync.Mutex // guards everything below
	heard  bool       // SAs were added by others, or some notifications were lost
	gone   bool       // SAs were deleted or have expired, or some notifications were lost
	failed error      // ErrUnprotected and what of
	bare   []bareGroup
}

// startWatch starts to watch, if there is something to hear with.
func (r *run) startWatch(ctx context.Context) *watch {
	w := &watch{r: r}
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
			case <-w.ctx.Done():
				return
			case <-tick.C:
				w.look()
			}
		}
	})
	return w
}

// end stops watching after a last look, and tells what kept the run from going on. What stays where it was moved to is read once more.
func (w *watch) end(stays bool) error {
	w.stop()
	w.done.Wait()
	if w.r.cfg.Monitor == nil {
		return nil
	}
	w.look()
	if stays && w.hasFailed() == nil {
		w.lastLook()
	}
	return w.hasFailed()
}

func (w *watch) hasFailed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// look hears what has come in and counts policies.
func (w *watch) look() {
	w.listen()
	// Between transactions: what one has put in for a moment is not to be counted, nor its message to wait for ours.
	w.r.holding.Lock()
	info, err := w.r.cfg.Conn.SPDInfo()
	w.r.holding.Unlock()
	if err != nil {
		return // the run will meet the same, or has
	}
	now := uint64(info.In) + uint64(info.Out) + uint64(info.Fwd)
	fewer := now < w.count
	w.count = now
	if fewer {
		w.inspect()
	}
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

// inspect reads the policies of all groups that no transaction is working on. Those that are gone while their SAs are
// there protect nothing any more: what they matched is blocked, and the run ends.
func (w *watch) inspect() {
	bare := w.r.bare()
	if len(bare) == 0 {
		return
	}
	// What has not been begun may not be on disk yet, and after a crash its block would be nobody's.
	var intents []Transaction
	for _, b := range bare {
		if !b.moved {
			intents = append(intents, w.r.txs[b.gi])
		}
	}
	if len(intents) != 0 {
		_ = w.r.cfg.Journal.Intend(intents) // a journal that is dead is no reason to let cleartext out
	}
	w.block(bare)
	err := fmt.Errorf("%w: of %d tunnels, the first of them %s. They were blocked at once, and are put back", ErrUnprotected, len(bare), w.r.txs[bare[0].gi].Name)
	w.mu.Lock()
	w.failed, w.bare = err, append(w.bare, bare...)
	w.mu.Unlock()
	w.stop()
	w.r.event(Event{Kind: Note, Text: err.Error()})
}

// bareGroup is a group that has SAs and lacks policies.
type bareGroup struct {
	gi    int
	moved bool
	tx    Transaction // in the direction of where the group is
}

// bare lists the groups that no transaction is working on and that have SAs and lack policies.
func (r *run) bare() (all []bareGroup) {
	for _, b := range r.resting() {
		places := make([]place, len(b.tx.Moves))
		q, missing := new(query), false
		locate(q, b.tx.Moves, places)
		for i := range b.tx.Policies {
			q.ask(xfrm.GetPolicyByKey(goal(&b.tx.Policies[i])), func(a *xfrm.Answer) { missing = missing || a == nil })
		}
		if q.run(r.cfg.Conn) == nil && missing && slices.Contains(places, there) {
			all = append(all, b)
		}
	}
	return all
}

// resting lists the groups that are through, and those that have not been begun.
func (r *run) resting() (all []bareGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for gi := range r.txs {
		switch g := &r.report.Groups[gi]; {
		case g.Outcome == Done && r.daemon[gi] == nil && !r.led[gi]: // what a daemon has set up anew is the daemon's to look after
			all = append(all, bareGroup{gi, true, r.txs[gi]})
		case g.Outcome == Untouched && !g.begun:
			all = append(all, bareGroup{gi, false, r.txs[gi].Reversed()})
		}
	}
	return all
}

// block puts tagged blocks over the outbound policies that groups should have. Some may be there.
func (w *watch) block(bare []bareGroup) {
	var reqs []xfrm.Request
	for i := range bare {
		for j := range bare[i].tx.Policies {
			pc := &bare[i].tx.Policies[j]
			switch p := goal(pc); {
			case p.Dir != xfrm.DirOut:
			case replacedInPlace(pc):
				b := blockInPlace(p)
				reqs = append(reqs, xfrm.NewPolicy(&b))
			default:
				b := block(p, w.r.indexes.next(xfrm.DirOut))
				reqs = append(reqs, xfrm.NewPolicy(&b))
			}
		}
	}
	w.r.holding.Lock()
	defer w.r.holding.Unlock()
	_ = w.r.cfg.Conn.Do(reqs...) // what could not be blocked is found when the groups are settled
}

// restore settles the groups that were blocked because their policies were gone, where they are: what has moved and has
// not been undone since as the run had made it, what was not begun as it was.
func (r *run) restore() error {
	var failed []error
	for i := range r.watch.bare {
		b := &r.watch.bare[i]
		outcome := Undone
		switch now := r.outcome(b.gi); {
		case b.moved && now == Done:
			outcome = Done
		case b.moved || now != Untouched:
			continue
		}
		since := time.Now()
		got, err := settle(r.cfg.Conn, &b.tx, &r.indexes)
		r.end(b.gi, outcome, got, err, since, time.Since(since))
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", b.tx.Name, err))
		}
	}
	return errors.Join(failed...)
}
