package progress

import (
	"context"
	"io"
	"sync"
)

// Queue takes what is written to it at once and passes it on from a goroutine of its own: a run goes on while its
// terminal is paused, its pager waits for a key or its connection hangs. It keeps all that the writer has not taken yet,
// which for 20,000 groups is a few MiB. What a writer that has failed would have got is dropped. Safe for concurrent use.
type Queue struct {
	w io.Writer

	mu      sync.Mutex // guards what follows
	waiting []byte
	writing bool
	failed  bool
	idle    chan struct{} // closed when nothing waits any more; nil if nobody asked
}

// NewQueue returns a queue before w.
func NewQueue(w io.Writer) *Queue { return &Queue{w: w} }

// Write takes all of b and returns no error.
func (q *Queue) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed {
		return len(b), nil
	}
	q.waiting = append(q.waiting, b...)
	if !q.writing {
		q.writing = true
		go q.pass()
	}
	return len(b), nil
}

// pass writes until nothing waits.
func (q *Queue) pass() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 || q.failed {
			q.writing, q.waiting = false, nil
			if q.idle != nil {
				close(q.idle)
				q.idle = nil
			}
			q.mu.Unlock()
			return
		}
		next := q.waiting
		q.waiting = nil
		q.mu.Unlock()
		if _, err := q.w.Write(next); err != nil {
			q.mu.Lock()
			q.failed = true
			q.mu.Unlock()
		}
	}
}

// Idle reports whether the writer has taken everything.
func (q *Queue) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.writing
}

// Drain waits until the writer has taken everything or has failed, or until ctx is done.
func (q *Queue) Drain(ctx context.Context) {
	q.mu.Lock()
	if !q.writing {
		q.mu.Unlock()
		return
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
