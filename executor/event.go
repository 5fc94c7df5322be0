package executor

import (
	"errors"
	"time"
)

// Kind says what an Event tells.
type Kind string

// The kinds of events, in the order in which a group sees them.
const (
	RunStarted   Kind = "run-started"
	Pause        Kind = "pause" // before a wave; Span is how long
	WaveStarted  Kind = "wave-started"
	GroupStarted Kind = "group-started"
	Blocked      Kind = "blocked"   // nothing of the group leaves this host any more
	Migrated     Kind = "migrated"  // its SAs are at the new addresses
	Switched     Kind = "switched"  // so are its policies
	Unblocked    Kind = "unblocked" // traffic flows again
	GroupDone    Kind = "group-done"
	GroupFailed  Kind = "group-failed" // with what the kernel said; undone or stuck follows
	GroupUndone  Kind = "group-undone"
	GroupStuck   Kind = "group-stuck"   // neither old nor new: it stays blocked
	GroupUnknown Kind = "group-unknown" // the kernel does not say what it is
	GroupSkipped Kind = "group-skipped" // it changed since the plan was computed, or its place is held
	WaveDone     Kind = "wave-done"

	GroupFollowed    Kind = "group-followed"     // the IKE daemon is at the new addresses too
	GroupNotFollowed Kind = "group-not-followed" // it could not be brought there; the kernel is, and traffic flows all the same

	Note        Kind = "note"        // something that the operator should know
	Interrupted Kind = "interrupted" // the run was told to stop; groups in flight have come to their end
	Undoing     Kind = "undoing"     // the run brings back what it has done; Total is how many groups
	RunEnded    Kind = "run-ended"
)

// Event is one thing that happened. Views, the report and the log are made of these alone.
type Event struct {
	Run   string    `json:"run,omitempty"`
	Time  time.Time `json:"time"`
	Kind  Kind      `json:"event"`
	Wave  string    `json:"wave,omitempty"`
	Group string    `json:"group,omitempty"`
	Text  string    `json:"text,omitempty"`

	// Unblocked and the ends of a group: for how long the group was blocked, and since when. A group that was not
	// blocked has neither. Pause: how long it is.
	Span  time.Duration `json:"spanNanoseconds,omitempty"`
	Since time.Time     `json:"since,omitzero"`

	Done  int `json:"done,omitempty"`  // groups through so far
	Total int `json:"total,omitempty"` // groups of the run

	// GroupDone, GroupUndone: what was read back right before and found as it should be.
	SAs      int `json:"sasVerified,omitempty"`
	Policies int `json:"policiesVerified,omitempty"`

	Answers []Answer `json:"answers,omitempty"` // what the kernel refused
}

// endOf tells of what a settlement of the transaction came to. wanted is its outcome if it is through.
func endOf(tx *Transaction, wanted Outcome, s settled, err error) Event {
	e := Event{Time: time.Now(), Group: tx.Name}
	switch {
	case s.untouched:
		e.Kind = GroupSkipped
	case err == nil:
		e.Kind = kindOf(wanted)
		e.SAs, e.Policies = len(tx.Moves), len(tx.Policies)-len(s.kept)
	case isUnread(err):
		e.Kind = GroupUnknown
	case errors.Is(err, ErrNotFollowed):
		e.Kind = GroupNotFollowed
	default:
		e.Kind = GroupStuck
	}
	if err != nil {
		e.Text, e.Answers = err.Error(), answersOf(err)
	}
	return e
}

// notesOf tells of what else a settlement found.
func notesOf(tx *Transaction, s settled) (notes []Event) {
	for _, texts := range [][]string{s.kept, s.notes} {
		for _, text := range texts {
			notes = append(notes, Event{Time: time.Now(), Kind: Note, Group: tx.Name, Text: text})
		}
	}
	return notes
}

// kindOf is the event that tells of a group's outcome.
func kindOf(o Outcome) Kind {
	for k, of := range outcomes {
		if of == o {
			return k
		}
	}
	return GroupStuck
}

// outcomes are what the events that end a group say of it.
var outcomes = map[Kind]Outcome{
	GroupDone: Done, GroupUndone: Undone, GroupStuck: Stuck, GroupUnknown: Unknown, GroupSkipped: Untouched,
	GroupNotFollowed: NotFollowed,
}
