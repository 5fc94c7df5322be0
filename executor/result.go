package executor

import "time"

// What a run writes down while its groups work side by side.

func (r *run) outcome(gi int) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Groups[gi].Outcome
}

// problem notes what kept the group from being done.
func (r *run) problem(gi int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &r.report.Groups[gi]
	g.Problems = append(g.Problems, err.Error())
}

// end notes what a group's settlement came to, and how long its traffic was held back for it.
func (r *run) end(gi int, wanted Outcome, s settled, err error, blocked time.Duration) {
	r.mu.Lock()
	g := &r.report.Groups[gi]
	g.conclude(wanted, s, err, len(r.txs[gi].Moves))
	g.Blocked += blocked
	o := g.Outcome
	r.mu.Unlock()
	r.cfg.Journal.Settled(r.txs[gi].Name, o)
	e := Event{Kind: kindOf(o), Group: r.txs[gi].Name, Span: blocked}
	if err != nil {
		e.Text = err.Error()
	}
	r.event(e)
	for _, text := range append(s.kept, s.notes...) {
		r.event(Event{Kind: Note, Group: r.txs[gi].Name, Text: text})
	}
}

// event tells of something. Its time is now unless it says so.
func (r *run) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	switch e.Kind {
	case GroupDone, GroupUndone, GroupStuck, GroupUnknown, GroupSkipped:
		r.through++
		e.Done, e.Total = min(r.through, len(r.txs)), len(r.txs)
	}
	r.cfg.Emit(e)
}
