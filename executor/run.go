package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Journal keeps what is meant on disk.
type Journal interface {
	// Intend returns when what is meant for the transactions would survive a power cut. It is called before the
	// kernel is touched for any of them.
	Intend([]Transaction) error
	// Settled notes what has become of a transaction. It need not survive anything: at recovery the kernel is the
	// truth.
	Settled(name string, o Outcome)
}

// Config is what a run needs besides its plan.
type Config struct {
	Conn    *xfrm.Conn
	Journal Journal
	Emit    func(Event) // called by one goroutine at a time
	Run     string      // its identity

	OnError     plan.OnError
	Parallelism int // groups at once; 0 is DefaultParallelism
}

// DefaultParallelism is how many groups run at once in one network namespace. The kernel serialises them, so that what
// a second one gains is the time between one group's datagrams.
const DefaultParallelism = 2

// ErrInterrupted means that the run was told to stop.
var ErrInterrupted = errors.New("interrupted")

// Run runs the plan: its waves one after the other, the groups of a wave side by side. Cancelling ctx lets groups in
// flight come to an end and starts no other. The report says what is at the end; the error why it isn't all done.
func Run(ctx context.Context, p *plan.Plan, cfg Config) (*Report, error) {
	r := newRun(p, cfg)
	r.event(Event{Kind: RunStarted, Total: len(p.Groups)})
	err := r.waves(ctx)
	if ctx.Err() != nil {
		err = errors.Join(ErrInterrupted, err)
		r.report.Interrupted = true
	}
	if err != nil && cfg.OnError == plan.OnErrorRollback {
		err = errors.Join(err, r.rollback())
	}
	r.report.Ended = time.Now()
	r.event(Event{Kind: RunEnded, Done: r.report.Count(Done), Total: len(p.Groups)})
	return &r.report, err
}

type run struct {
	cfg     Config
	plan    *plan.Plan
	txs     []Transaction   // by group
	through []chan struct{} // by group: closed when it is at its end
	indexes indexes

	mu     sync.Mutex // guards report and serialises events
	report Report
	done   int
}

func newRun(p *plan.Plan, cfg Config) *run {
	if cfg.Parallelism == 0 {
		cfg.Parallelism = DefaultParallelism
	}
	r := &run{
		cfg: cfg, plan: p,
		txs:     make([]Transaction, len(p.Groups)),
		through: make([]chan struct{}, len(p.Groups)),
		report:  Report{Run: cfg.Run, Plan: p.Name, Started: time.Now(), Groups: make([]GroupResult, len(p.Groups))},
	}
	for i := range p.Groups {
		r.txs[i] = NewTransaction(&p.Groups[i])
		r.through[i] = make(chan struct{})
		r.report.Groups[i] = resultOf(&r.txs[i])
	}
	return r
}

func (r *run) waves(ctx context.Context) error {
	var failures *multierror.Error
	for i := range r.plan.Waves {
		w := &r.plan.Waves[i]
		if w.Pause > 0 && i > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(w.Pause):
			}
		}
		if ctx.Err() != nil {
			break
		}
		r.event(Event{Kind: WaveStarted, Wave: w.Name, Total: len(w.Groups)})
		if err := r.wave(ctx, w); err != nil {
			failures = multierror.Append(failures, err)
			if r.cfg.OnError != plan.OnErrorContinue {
				break
			}
		}
		r.event(Event{Kind: WaveDone, Wave: w.Name})
	}
	return failures.ErrorOrNil()
}

// wave runs the groups of one wave and collects every failure, not only the first.
func (r *run) wave(ctx context.Context, w *plan.Wave) error {
	txs := make([]Transaction, len(w.Groups))
	for i, gi := range w.Groups {
		txs[i] = r.txs[gi]
	}
	if err := r.cfg.Journal.Intend(txs); err != nil {
		return fmt.Errorf("the journal can't be written, so nothing was touched: %w", err)
	}
	var failures *multierror.Error
	var mu sync.Mutex
	var workers errgroup.Group
	workers.SetLimit(r.cfg.Parallelism)
	for _, gi := range w.Groups {
		stop := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return ctx.Err() != nil || failures != nil && r.cfg.OnError != plan.OnErrorContinue
		}
		if stop() {
			break
		}
		workers.Go(func() error {
			defer close(r.through[gi])
			if stop() {
				return nil
			}
			if err := r.group(gi); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
			}
			return nil
		})
	}
	_ = workers.Wait() // the workers' errors are in failures
	return failures.ErrorOrNil()
}

// group runs one group's transaction to an end: done, undone or stuck.
func (r *run) group(gi int) error {
	for _, before := range r.plan.Groups[gi].After { // all before it in the plan's order, so that none waits for ever
		<-r.through[before]
		if r.outcome(before) != Done {
			return fmt.Errorf("it was not started: its place is held by %s, which was not moved", r.txs[before].Name)
		}
	}
	tx := &r.txs[gi]
	emit := func(k Kind, text string, span time.Duration) {
		r.event(Event{Kind: k, Group: tx.Name, Text: text, Span: span})
	}
	emit(GroupStarted, "", 0)
	a := &attempt{conn: r.cfg.Conn, tx: tx, covers: coversOf(tx, &r.indexes), emit: emit}
	err := a.run()
	blocked := time.Since(a.blockedAt)
	if err == nil {
		err = verify(r.cfg.Conn, tx)
	}
	if err == nil {
		r.end(gi, Done, blocked)
		emit(GroupDone, "", blocked)
		return nil
	}
	emit(GroupFailed, err.Error(), 0)
	r.problem(gi, err)
	return errors.Join(err, r.undo(gi, a.blockedAt))
}

// undo brings a group back to where it was.
func (r *run) undo(gi int, since time.Time) error {
	tx := &r.txs[gi]
	reversed := tx.Reversed()
	err := settle(r.cfg.Conn, &reversed, &r.indexes)
	span := time.Since(since)
	if err != nil {
		r.problem(gi, err)
		r.end(gi, Stuck, span)
		r.event(Event{Kind: GroupStuck, Group: tx.Name, Text: err.Error(), Span: span})
		return fmt.Errorf("it could not be undone: %w", err)
	}
	r.end(gi, Undone, span)
	r.event(Event{Kind: GroupUndone, Group: tx.Name, Span: span})
	return nil
}

// rollback undoes the groups that are done, the last one first.
func (r *run) rollback() error {
	var failures *multierror.Error
	for gi := len(r.txs) - 1; gi >= 0; gi-- {
		if r.outcome(gi) != Done {
			continue
		}
		if err := r.undo(gi, time.Now()); err != nil {
			failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
		}
	}
	return failures.ErrorOrNil()
}

func (r *run) outcome(gi int) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Groups[gi].Outcome
}

func (r *run) problem(gi int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &r.report.Groups[gi]
	g.Problems = append(g.Problems, err.Error())
}

func (r *run) end(gi int, o Outcome, blocked time.Duration) {
	r.mu.Lock()
	g := &r.report.Groups[gi]
	g.Outcome = o
	g.Blocked += blocked
	if o != Stuck {
		g.SAsVerified = len(r.txs[gi].Moves)
	}
	r.mu.Unlock()
	r.cfg.Journal.Settled(r.txs[gi].Name, o)
}

func (r *run) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Time = time.Now()
	if e.Kind == GroupDone || e.Kind == GroupUndone || e.Kind == GroupStuck {
		r.done++
		e.Done, e.Total = r.done, len(r.txs)
	}
	r.cfg.Emit(e)
}
