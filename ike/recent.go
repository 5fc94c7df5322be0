package ike

import (
	"sync"
	"time"
)

// recent keeps what a daemon has loaded for the moment that a plan is checked: it is asked for once for each Child SA of the plan.
type recent[T any] struct {
	mu  sync.Mutex // guards everything below
	at  time.Time  // zero: never
	was T
}

// What is this old is asked for anew: long enough for thousands of checks, too short for an operator to load what was missing.
const recentFor = time.Second

func (r *recent[T]) get(ask func() (T, error)) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < recentFor {
		return r.was, nil
	}
	now, err := ask()
	if err == nil {
		r.at, r.was = time.Now(), now
	}
	return now, err
}
