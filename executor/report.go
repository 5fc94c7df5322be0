package executor

import "time"

// Outcome is what has become of a group.
type Outcome string

// The outcomes of a group. Each is what was read back, never what was tried.
const (
	Untouched Outcome = "untouched" // nothing was done to it: the run ended before, or the group had changed
	Done      Outcome = "done"      // all new
	Undone    Outcome = "undone"    // all old; a policy that its owner rewrote meanwhile stays as it is and is named
	Stuck     Outcome = "blocked"   // neither: its outbound policies stay blocked, or all where policies were missing
	Unknown   Outcome = "unknown"   // the kernel did not say: recover finds out

	// All new in the kernel, and traffic flows; the IKE daemon was to follow and is still at the old addresses.
	NotFollowed Outcome = "not-followed"
)

// GroupResult is a group's line in the report.
type GroupResult struct {
	Name     string        `json:"group"`
	Wave     string        `json:"wave,omitempty"`
	Outcome  Outcome       `json:"outcome"`
	Blocked  time.Duration `json:"blockedNanoseconds"`     // how long its traffic was held back in all, the undo included
	Spans    []BlockedSpan `json:"blockedSpans,omitempty"` // and when: once as a rule, twice if it was moved and brought back
	Problems []string      `json:"problems,omitempty"`     // what went wrong or was found, for people
	Answers  []Answer      `json:"answers,omitempty"`      // what the kernel refused

	Calls    int `json:"calls"`
	Policies int `json:"policies"`
	Rewrites int `json:"policyRewrites"` // of them; the others are only blocked for a moment

	// What was read back at last and found as the outcome says.
	SAsVerified      int       `json:"sasVerified"`
	PoliciesVerified int       `json:"policiesVerified"`
	Verified         time.Time `json:"verified,omitzero"`

	begun bool // a transaction is, or was, at work on it
	ended bool
}

// BlockedSpan is a time in which nothing of a group left this host.
type BlockedSpan struct {
	From time.Time     `json:"from"`
	Span time.Duration `json:"nanoseconds"`
}

// Report is what is, at the end of a run.
type Report struct {
	Run         string        `json:"run"`
	Plan        string        `json:"plan"`
	Towards     Outcome       `json:"towards,omitempty"` // of recover and rollback: where they brought the groups
	Started     time.Time     `json:"started"`
	Ended       time.Time     `json:"ended"`
	Interrupted bool          `json:"interrupted,omitempty"`
	Groups      []GroupResult `json:"groups"`

	Before *Report `json:"before,omitempty"` // of recover and rollback: that of the run itself, if it came to write one

	byName map[string]int
}

// newReport is the report of a run that has not done anything yet.
func newReport(run, plan string, txs []Transaction) Report {
	r := Report{Run: run, Plan: plan, Started: time.Now(), Groups: make([]GroupResult, 0, len(txs)), byName: make(map[string]int, len(txs))}
	for i := range txs {
		r.add(&txs[i])
	}
	return r
}

// add begins the line of a transaction.
func (r *Report) add(tx *Transaction) {
	g := GroupResult{Name: tx.Name, Outcome: Untouched, Calls: len(tx.Moves), Policies: len(tx.Policies)}
	for i := range tx.Policies {
		if tx.Policies[i].New != nil {
			g.Rewrites++
		}
	}
	r.byName[g.Name] = len(r.Groups)
	r.Groups = append(r.Groups, g)
}

// take enters an event: all that a report says beyond its plan comes from here.
func (r *Report) take(e *Event) {
	switch e.Kind {
	case Interrupted:
		r.Interrupted = true
	case RunEnded:
		r.Ended = e.Time
	}
	i, ok := r.byName[e.Group]
	if !ok {
		return
	}
	g := &r.Groups[i]
	switch e.Kind {
	case GroupStarted:
		g.Wave, g.begun = e.Wave, true
	case GroupSkipped:
		g.begun = false // it is as it was
	}
	o, ends := outcomes[e.Kind]
	if ends {
		g.Outcome = o
		if o != NotFollowed { // that the daemon stayed behind takes nothing back of what was read in the kernel
			g.SAsVerified, g.PoliciesVerified, g.Verified = e.SAs, e.Policies, time.Time{}
		}
		if o == Done || o == Undone {
			g.Verified = e.Time
		}
	}
	if (ends || e.Kind == Note) && e.Span > 0 {
		g.Blocked += e.Span
		g.Spans = append(g.Spans, BlockedSpan{e.Since, e.Span})
	}
	if e.Text != "" && e.Kind != GroupFollowed {
		g.Problems = append(g.Problems, e.Text)
	}
	g.Answers = append(g.Answers, e.Answers...)
}

// Count returns how many groups have the outcome.
func (r *Report) Count(o Outcome) (n int) {
	for i := range r.Groups {
		if r.Groups[i].Outcome == o {
			n++
		}
	}
	return n
}

// Longest returns the longest time for which one group's traffic was held back at a stretch, and the group's name.
func (r *Report) Longest() (d time.Duration, group string) {
	for i := range r.Groups {
		for _, s := range r.Groups[i].Spans {
			if s.Span > d {
				d, group = s.Span, r.Groups[i].Name
			}
		}
	}
	return d, group
}

// Unsettled returns how many groups are neither old nor new, as far as is known, or have left their daemon behind: the run
// is not over before recover has seen to them.
func (r *Report) Unsettled() int { return r.Count(Stuck) + r.Count(Unknown) + r.Count(NotFollowed) }

// Failed reports whether any group met a problem that kept it from being done.
func (r *Report) Failed() bool { return r.Count(Done) != len(r.Groups) }
