package executor

import "time"

// Kind says what an Event tells.
type Kind string

// The kinds of events, in the order in which a group sees them.
const (
	RunStarted       Kind = "run-started"
	WaveStarted      Kind = "wave-started"
	GroupStarted     Kind = "group-started"
	Blocked          Kind = "blocked"   // nothing of the group leaves this host any more
	Migrated         Kind = "migrated"  // its SAs are at the new addresses
	Switched         Kind = "switched"  // so are its policies
	Unblocked        Kind = "unblocked" // traffic flows again
	GroupDone        Kind = "group-done"
	GroupFailed      Kind = "group-failed" // with what the kernel said; undone or stuck follows
	GroupUndone      Kind = "group-undone"
	GroupStuck       Kind = "group-stuck"        // neither old nor new: it stays blocked
	GroupUnknown     Kind = "group-unknown"      // the kernel does not say what it is
	GroupSkipped     Kind = "group-skipped"      // it changed since the plan was computed, or its place is held
	GroupFollowed    Kind = "group-followed"     // the IKE daemon is at the new addresses too
	GroupNotFollowed Kind = "group-not-followed" // it could not be brought there; traffic flows all the same
	WaveDone         Kind = "wave-done"
	Note             Kind = "note" // something that the operator should know
	RunEnded         Kind = "run-ended"
)

// Event is one thing that happened. Views, the report and the log are made of these alone.
type Event struct {
	Time  time.Time     `json:"time"`
	Kind  Kind          `json:"event"`
	Wave  string        `json:"wave,omitempty"`
	Group string        `json:"group,omitempty"`
	Text  string        `json:"text,omitempty"`
	Span  time.Duration `json:"spanNanoseconds,omitempty"` // Unblocked, GroupUndone: for how long the group was blocked
	Done  int           `json:"done,omitempty"`            // groups through so far
	Total int           `json:"total,omitempty"`           // groups of the run
}
