package executor

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Each group is read back when it has moved, and the run may go on for hours after that. Before it says what is, it looks once more at what it has moved.
// Policies that have gone are heard of while it works (watch.look), unless others came in their place in the same instant; those that were rewritten, and SAs
// that were deleted, are their owners' and no reason to do anything.

// lastLookGroups is how many groups are read at a time: their answers fit many times into the receive buffer.
const lastLookGroups = 64

// lastLook tells what others have done to the groups that have moved, and blocks what they have left without protection.
func (w *watch) lastLook() {
	var moved []bareGroup
	var followed []int // what a daemon has set up anew is the daemon's to change, but has to be protected
	for _, b := range w.resting(w.r.groups()) {
		switch {
		case len(b.anew) != 0:
			followed = append(followed, b.gi)
		case b.at == Done:
			moved = append(moved, b)
		}
	}
	sas := w.hasHeardOfGone()
	all := &sad{conn: w.r.cfg.Conn}
	missing := false
	for len(moved) != 0 {
		some := moved[:min(lastLookGroups, len(moved))]
		moved = moved[len(some):]
		changed, err := w.r.changed(some, sas)
		for i := 0; err == nil && i < len(some); i++ {
			if changed[i] {
				var lacks bool
				lacks, err = w.r.tellChanges(&some[i], all)
				missing = missing || lacks
			}
		}
		if err != nil {
			w.r.event(Event{Kind: Note, Text: fmt.Sprintf("what others have done meanwhile to what was moved can't be told: %v", err)})
			return
		}
	}
	if missing {
		followed = w.r.groups()
	}
	w.looking.Lock()
	defer w.looking.Unlock()
	w.inspect(followed)
}

// changed reports which groups have policies that are not as the run has left them or, if it is asked, SAs that are not there.
func (r *run) changed(groups []bareGroup, sas bool) ([]bool, error) {
	q := new(query)
	changed := make([]bool, len(groups))
	places := make([][]place, len(groups))
	for i := range groups {
		tx := &groups[i].tx
		for j := range tx.Policies {
			pc := &tx.Policies[j]
			want, ask := goal(pc), xfrm.GetPolicy // by index it costs the same in an SPD of any size
			if reselected(pc) {                   // the kernel chose its index
				ask = xfrm.GetPolicyByKey
			}
			q.ask(ask(want), func(a *xfrm.Answer) { changed[i] = changed[i] || a == nil || !sameButSPIs(a.Policy, want) })
		}
		if sas {
			places[i] = make([]place, len(tx.Moves))
			locate(q, tx.Moves, places[i])
		}
	}
	if err := q.run(r.cfg.Conn); err != nil {
		return nil, err
	}
	for i := range places {
		for _, at := range places[i] {
			changed[i] = changed[i] || at != there
		}
	}
	return changed, nil
}

// tellChanges tells what is not as the run has left it, and reports whether a policy is missing.
func (r *run) tellChanges(b *bareGroup, all *sad) (missing bool, err error) {
	s := &settlement{conn: r.cfg.Conn, tx: &b.tx, indexes: &r.indexes, sad: all}
	if err := s.read(); err != nil {
		return false, err
	}
	var got settled
	for i := range b.tx.Moves {
		switch at, id := s.places[i], b.tx.Moves[i].There.Target(); {
		case at == there:
		case s.rekeyed[i]:
			got.notes = append(got.notes, fmt.Sprintf("SA %v is gone; another SA of its Child SA has its place", id))
		case at == nowhere:
			got.notes = append(got.notes, fmt.Sprintf("SA %v was deleted by its owner after it had moved", id))
		default:
			got.notes = append(got.notes, fmt.Sprintf("SA %v was moved away by somebody else", id))
		}
	}
	for i := range b.tx.Policies {
		pc := &b.tx.Policies[i]
		switch is := s.spd[goal(pc).Key()]; {
		case is == nil:
			missing = true
		case sameButSPIs(is, goal(pc)):
		case sameButSPIs(is, pc.Old):
			got.kept = append(got.kept, fmt.Sprintf("policy %v %v was put back by somebody else as it was before the run and is left as they want it", is.Dir, is.Sel))
		default:
			got.kept = append(got.kept, fmt.Sprintf("policy %v %v was rewritten by somebody else and is left as they want it", is.Dir, is.Sel))
		}
	}
	for _, note := range notesOf(&b.tx, got) {
		r.event(note)
	}
	return missing, nil
}
