package executor

import "time"

// Outcome is what has become of a group.
type Outcome string

// The outcomes of a group.
const (
	Untouched Outcome = "untouched" // the run ended before it
	Done      Outcome = "done"      // all new, and read back as such
	Undone    Outcome = "undone"    // all old, and read back as such
	Stuck     Outcome = "blocked"   // neither: its outbound policies stay blocked
)

// GroupResult is a group's line in the report.
type GroupResult struct {
	Name        string        `json:"group"`
	Outcome     Outcome       `json:"outcome"`
	Blocked     time.Duration `json:"blockedNanoseconds"` // how long its traffic was held back, the undo included
	Problems    []string      `json:"problems,omitempty"` // what the kernel answered or what was found
	Calls       int           `json:"calls"`
	Rewrites    int           `json:"policyRewrites"`
	SAsVerified int           `json:"sasVerified"`
}

// Report is what is, at the end of a run.
type Report struct {
	Run         string        `json:"run"`
	Plan        string        `json:"plan"`
	Started     time.Time     `json:"started"`
	Ended       time.Time     `json:"ended"`
	Interrupted bool          `json:"interrupted,omitempty"`
	Groups      []GroupResult `json:"groups"`
}

// resultOf is the line of a transaction that nothing has been done for yet.
func resultOf(tx *Transaction) GroupResult {
	g := GroupResult{Name: tx.Name, Outcome: Untouched, Calls: len(tx.Moves)}
	for i := range tx.Policies {
		if tx.Policies[i].New != nil {
			g.Rewrites++
		}
	}
	return g
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

// Failed reports whether any group met a problem that kept it from being done.
func (r *Report) Failed() bool { return r.Count(Done) != len(r.Groups) }
