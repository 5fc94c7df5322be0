package executor

import (
	"errors"
	"time"
)

// Outcome is what has become of a group.
type Outcome string

// The outcomes of a group. Each is what was read back, never what was tried.
const (
	Untouched Outcome = "untouched" // nothing was done to it: the run ended before, or the group had changed
	Done      Outcome = "done"      // all new
	Undone    Outcome = "undone"    // all old; a policy that its owner rewrote meanwhile stays as it is and is named
	Stuck     Outcome = "blocked"   // neither: its outbound policies stay blocked
	Unknown   Outcome = "unknown"   // the kernel did not say: recover finds out

	// All new in the kernel, and traffic flows; the IKE daemon was to follow and is still at the old addresses.
	NotFollowed Outcome = "not-followed"
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

// conclude writes down what a settlement came to. wanted is its outcome if it is through.
func (g *GroupResult) conclude(wanted Outcome, s settled, err error, sas int) {
	g.Problems = append(append(g.Problems, s.kept...), s.notes...)
	g.SAsVerified = 0
	switch {
	case s.untouched:
		g.Outcome = Untouched
		return
	case err == nil:
		g.Outcome, g.SAsVerified = wanted, sas
		return
	case isUnread(err):
		g.Outcome = Unknown
	case errors.Is(err, ErrNotFollowed):
		g.Outcome = NotFollowed
	default:
		g.Outcome = Stuck
	}
	g.Problems = append(g.Problems, err.Error())
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

// Unsettled returns how many groups are neither old nor new, as far as is known, or have left their daemon behind: the run
// is not over before recover has seen to them.
func (r *Report) Unsettled() int { return r.Count(Stuck) + r.Count(Unknown) + r.Count(NotFollowed) }

// Failed reports whether any group met a problem that kept it from being done.
func (r *Report) Failed() bool { return r.Count(Done) != len(r.Groups) }
