package executor

import "time"

// What a run tells of while its groups work side by side.

func (r *run) outcome(gi int) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Groups[gi].Outcome
}

// end tells what a group's settlement came to, and since when and for how long its traffic was held back for it.
func (r *run) end(gi int, wanted Outcome, s settled, err error, since time.Time, blocked time.Duration) {
	tx := &r.txs[gi]
	e := endOf(tx, wanted, s, err)
	e.Since, e.Span = since, blocked
	r.cfg.Journal.Settled(tx.Name, outcomes[e.Kind])
	r.event(e)
	for _, note := range notesOf(tx, s) {
		r.event(note)
	}
}

// event tells of something. Its time is now unless it says so.
func (r *run) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if _, ends := outcomes[e.Kind]; ends {
		if i, ok := r.report.byName[e.Group]; ok && !r.report.Groups[i].ended { // once, even if it is undone later
			r.report.Groups[i].ended = true
			r.ends++
		}
		e.Done, e.Total = r.ends, len(r.txs)
	}
	e.Run = r.cfg.Run
	r.report.take(&e)
	r.cfg.Emit(e)
}
