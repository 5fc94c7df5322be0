package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/xfrm-plan/xfrm-plan/ike"
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
	Emit    func(Event) // called by one goroutine at a time, never while that one holds traffic back
	Run     string      // its identity

	IKE *ike.Part // what the daemon has to do; nil is nothing

	OnError     plan.OnError
	Checks      plan.Checks  // those after a wave
	Ready       func() error // makes those before it: addresses and routes may go while a run is at work; nil makes none
	Parallelism int          // groups at once; 0 is DefaultParallelism
	Bins        Bins         // of the SPD that the plan was computed from

	// Monitor hears of SAs (xfrm.GroupSA, xfrm.GroupExpire) that others set up or delete; the run reads it and does not
	// close it. With nil nobody looks after what others do between transactions.
	Monitor *xfrm.Monitor
	// Recompute computes the plan anew, from what is there now, with the daemon's part in it. With nil a group that has changed is left alone.
	Recompute func() (*plan.Plan, *ike.Part, error)
}

// DefaultParallelism is how many groups run at once in one network namespace. The kernel serialises them: more of them
// gain nothing and take the processor from the one whose traffic is held back (docs/benchmarks.md has the figures).
const DefaultParallelism = 1

var (
	// ErrInterrupted means that the run was told to stop.
	ErrInterrupted = errors.New("interrupted")

	// ErrJournal means that what is meant could not be written down. Nothing was done that is not on disk; the run
	// undoes the rest from memory, whatever onError says: a crash later on could not be mended.
	ErrJournal = errors.New("the journal can't be written")
)

// Run runs the plan: its waves one after the other, the groups of a wave side by side. Cancelling ctx lets groups in
// flight come to an end and starts no other. The report says what is at the end; the error why it isn't all done.
func Run(ctx context.Context, p *plan.Plan, cfg Config) (*Report, error) {
	r := newRun(p, cfg)
	r.event(Event{Kind: RunStarted, Total: len(p.Groups)})
	r.watch = r.startWatch(ctx)
	err := r.waves(r.watch.ctx)
	if err == nil || cfg.OnError == plan.OnErrorContinue && !errors.Is(err, ErrJournal) {
		err = errors.Join(err, r.stragglers(r.watch.ctx))
	}
	bare := r.watch.check(err == nil || cfg.OnError != plan.OnErrorRollback) // what is undone is read then
	err = errors.Join(bare, err)
	inTime := cfg.OnError == plan.OnErrorRollback || r.report.Failed() || errors.Is(err, errUnchecked)
	if ctx.Err() != nil && inTime { // else there was nothing left to stop
		err = errors.Join(ErrInterrupted, err)
		r.event(Event{Kind: Interrupted})
	}
	if err != nil && (cfg.OnError == plan.OnErrorRollback && !errors.Is(err, ErrNotFollowed) || errors.Is(err, ErrJournal)) {
		err = errors.Join(err, r.restoreFollowed(), r.rollback())
	}
	err = errors.Join(err, r.restore())
	r.watch.end()
	err = errors.Join(err, r.restore()) // what it has come upon in the end
	if late := r.watch.hasFailed(); bare == nil && late != nil {
		err = errors.Join(late, err)
	}
	r.event(Event{Kind: RunEnded, Done: r.report.Count(Done), Total: len(p.Groups)})
	return &r.report, err
}

type run struct {
	cfg     Config
	plan    *plan.Plan
	txs     []Transaction   // by group
	ended   []chan struct{} // by group: closed when it is at its end, or will not be started
	daemon  []*followed     // by group: what the daemon has of it at the new addresses; written by the group's own goroutine
	indexes indexes
	watch   *watch
	holding sync.Mutex // held by the one group whose traffic is held back: two would only wait for each other

	computing sync.Mutex // held by who computes the plan anew; guards computed
	computed  *computed

	mu     sync.Mutex // guards what follows and serialises events
	report Report
	led    map[int]bool // groups whose policies are the daemon's to change, because it is being told to follow
	ends   int          // groups that have come to an end
}

func newRun(p *plan.Plan, cfg Config) *run {
	if cfg.Parallelism == 0 {
		cfg.Parallelism = DefaultParallelism
	}
	r := &run{
		cfg: cfg, plan: p,
		txs:    make([]Transaction, len(p.Groups)),
		ended:  make([]chan struct{}, len(p.Groups)),
		daemon: make([]*followed, len(p.Groups)),
		led:    make(map[int]bool),
	}
	r.indexes.start(cfg.Run)
	for i := range p.Groups {
		r.txs[i] = NewTransaction(&p.Groups[i])
		r.ended[i] = make(chan struct{})
	}
	r.report = newReport(cfg.Run, p.Name, r.txs)
	return r
}

// orderly reports an error if a group has to come after one that is not before it: it would wait for ever.
func (r *run) orderly() error {
	seen := make([]bool, len(r.txs))
	for _, w := range r.plan.Waves {
		for _, gi := range w.Groups {
			for _, before := range r.plan.Groups[gi].After {
				if !seen[before] {
					return fmt.Errorf("%s comes before %s, which has to be through first: nothing was touched", r.txs[gi].Name, r.txs[before].Name)
				}
			}
			seen[gi] = true
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		return fmt.Errorf("%s is in no wave: nothing was touched", r.txs[i].Name)
	}
	return nil
}

func (r *run) waves(ctx context.Context) error {
	if err := r.orderly(); err != nil {
		return err
	}
	var failures *multierror.Error
	for i := range r.plan.Waves {
		w := &r.plan.Waves[i]
		if w.Pause > 0 && ctx.Err() == nil {
			r.event(Event{Kind: Pause, Wave: w.Name, Span: w.Pause})
			select {
			case <-ctx.Done():
			case <-time.After(w.Pause):
			}
		}
		r.watch.settled()
		if ctx.Err() != nil {
			break
		}
		r.event(Event{Kind: WaveStarted, Wave: w.Name, Total: len(w.Groups)})
		err := r.ready(w)
		if err == nil {
			err = r.wave(ctx, w)
		}
		if err != nil {
			failures = multierror.Append(failures, err)
			if r.cfg.OnError != plan.OnErrorContinue || errors.Is(err, ErrJournal) {
				break
			}
		}
		r.event(Event{Kind: WaveDone, Wave: w.Name})
	}
	return joined(failures)
}

// ready makes the checks before a wave.
func (r *run) ready(w *plan.Wave) error {
	if r.cfg.Ready == nil {
		return nil
	}
	if err := r.cfg.Ready(); err != nil {
		return fmt.Errorf("wave %s was not begun: %w", w.Name, err)
	}
	return nil
}

// rollback undoes the groups that are done, the last one first.
func (r *run) rollback() error {
	if n := r.report.Count(Done); n != 0 {
		r.event(Event{Kind: Undoing, Total: n})
	}
	var failures *multierror.Error
	for gi := len(r.txs) - 1; gi >= 0; gi-- {
		if r.outcome(gi) != Done {
			continue
		}
		if err := r.undo(gi, time.Now()); err != nil {
			failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
		}
	}
	return joined(failures)
}
