package executor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What a run does about tunnels whose policies others have deleted: SAs without policies protect nothing, and what the policies matched leaves,
// and is accepted, in the clear. It is blocked at once, in every direction, and put back when the run has come to its end.

// bareGroup is a group that no transaction is working on and that has SAs and lacks policies.
type bareGroup struct {
	gi   int
	at   Outcome       // when it was inspected
	tx   Transaction   // in the direction of where the group is
	anew []ike.ChildSA // what its daemon has set up in the place of what was moved
}

// groups lists all groups.
func (r *run) groups() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]int, len(r.txs))
	for gi := range all {
		all[gi] = gi
	}
	return all
}

// inspectAll inspects all groups.
func (w *watch) inspectAll() {
	w.looking.Lock()
	defer w.looking.Unlock()
	w.inspect(w.r.groups())
}

// inspect reads the policies of those of the groups that no transaction is working on; the others have their turn later. Where some are gone while
// SAs are there the run ends.
func (w *watch) inspect(groups []int) {
	var bare []bareGroup
	for some := range slices.Chunk(groups, lastLookGroups) {
		bare = append(bare, w.inspectSome(some)...)
	}
	if len(bare) == 0 {
		return
	}
	err := fmt.Errorf("%w: of %d tunnels, the first of them %s. They were blocked at once and are put back", ErrUnprotected, len(bare), bare[0].tx.Name)
	w.mu.Lock()
	w.failed = errors.Join(w.failed, err)
	w.mu.Unlock()
	w.r.event(Event{Kind: Note, Text: err.Error()})
}

// inspectSome returns the groups that were found bare and have not been before. No transaction begins until they are blocked.
func (w *watch) inspectSome(groups []int) (found []bareGroup) {
	w.r.holding.Lock()
	defer w.r.holding.Unlock()
	bare := w.r.bare(w.resting(groups))
	if len(bare) == 0 {
		return nil
	}
	w.stop()
	// What has not been begun may not be on disk yet, and after a crash its block would be nobody's.
	var intents []Transaction
	for i := range bare {
		if bare[i].at == Untouched {
			intents = append(intents, bare[i].tx.Reversed())
		}
	}
	if len(intents) != 0 {
		_ = w.r.cfg.Journal.Intend(intents) // a journal that is dead is no reason to let cleartext out
	}
	w.block(bare)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range bare {
		if _, known := w.bare[b.gi]; !known {
			found = append(found, b)
		}
		w.bare[b.gi] = b
	}
	return found
}

// resting lists those of the groups that no transaction is working on. The others are noted for later.
func (w *watch) resting(groups []int) (all []bareGroup) {
	for _, gi := range groups {
		b, rests := w.r.resting(gi)
		if rests {
			all = append(all, b)
		} else {
			w.after(gi)
		}
	}
	return all
}

// resting returns a group in the direction of where it is, unless a transaction or its daemon is at work on it.
func (r *run) resting(gi int) (b bareGroup, rests bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &r.report.Groups[gi]
	b = bareGroup{gi: gi, at: g.Outcome, tx: r.txs[gi]}
	switch {
	case r.led[gi], g.Outcome == Untouched && g.begun:
		return b, false
	case g.Outcome == Untouched, g.Outcome == Undone:
		b.tx = b.tx.Reversed()
	}
	if f := r.daemon[gi]; f != nil {
		b.anew = f.now
	}
	return b, true
}

// after has a group inspected when its transaction is through.
func (w *watch) after(gi int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later[gi] = true
}

func (w *watch) takeLater() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Sorted(maps.Keys(w.later))
	clear(w.later)
	return all
}

// takeBare takes those of the bare groups that are wanted, to be put back.
func (w *watch) takeBare(wanted func(*bareGroup) bool) []bareGroup {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []bareGroup
	for _, gi := range slices.Sorted(maps.Keys(w.bare)) {
		if b := w.bare[gi]; wanted(&b) {
			all = append(all, b)
			delete(w.bare, gi)
		}
	}
	return all
}

// bare returns those of the groups that have SAs and lack policies.
func (r *run) bare(groups []bareGroup) (all []bareGroup) {
	q := new(query)
	places := make([][]place, len(groups))
	missing := make([]bool, len(groups))
	for i := range groups {
		tx := &groups[i].tx
		places[i] = make([]place, len(tx.Moves))
		locate(q, tx.Moves, places[i])
		for j := range tx.Policies {
			want := goal(&tx.Policies[j])
			there := false
			found := func(a *xfrm.Answer) { there = there || a != nil }
			q.ask(xfrm.GetPolicyByKey(coverKey(want)), found)
			q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) { found(a); missing[i] = missing[i] || !there })
		}
	}
	if q.run(r.cfg.Conn) != nil {
		return nil // the run will meet the same, or has
	}
	sas := &sad{conn: r.cfg.Conn}
	for i := range groups {
		if missing[i] && r.hasSAs(&groups[i], places[i], sas) {
			all = append(all, groups[i])
		}
	}
	return all
}

// hasSAs reports whether SAs of the group are there: its own, or those that came in their place.
func (r *run) hasSAs(b *bareGroup, places []place, sas *sad) bool {
	if slices.Contains(places, there) || b.at == Stuck && slices.ContainsFunc(places, func(at place) bool { return at != nowhere }) {
		return true
	}
	s := &settlement{anew: b.anew}
	for i := range b.tx.Moves {
		for _, to := range s.successors(&b.tx.Moves[i]) {
			if found, err := sas.find(to); err == nil && len(found) != 0 {
				return true
			}
		}
	}
	return false
}

// block puts tagged blocks over the policies that groups should have. Some may be there.
func (w *watch) block(bare []bareGroup) {
	var reqs []xfrm.Request
	for i := range bare {
		for j := range bare[i].tx.Policies {
			m := missingPolicy{want: goal(&bare[i].tx.Policies[j])}
			reqs = append(reqs, m.block(&w.r.indexes))
		}
	}
	_ = w.r.cfg.Conn.Do(reqs...) // what could not be blocked is found when the groups are settled
}

// restore settles groups that were blocked because their policies were gone, where they are: what has moved and has not been undone since as the run had
// made it, the others as they were. Whoever deletes them again meanwhile is noticed, and given up on in the end.
func (r *run) restore() error {
	if r.cfg.Monitor == nil {
		return nil
	}
	var failed []error
	for range rounds {
		r.watch.lookWell()
		bare := r.watch.takeBare(anyBare)
		if len(bare) == 0 {
			return errors.Join(failed...)
		}
		for i := range bare {
			if err := r.putBack(&bare[i]); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", bare[i].tx.Name, err))
			}
		}
	}
	r.watch.lookWell()
	for _, b := range r.watch.takeBare(anyBare) {
		err := errors.New("its policies are deleted again and again by somebody else: its traffic stays blocked")
		r.end(b.gi, b.at, settled{}, err, time.Time{}, 0)
		failed = append(failed, fmt.Errorf("%s: %w", b.tx.Name, err))
	}
	return errors.Join(failed...)
}

func anyBare(*bareGroup) bool { return true }

// restoreFollowed puts back what protects groups that their daemon has set up anew, before it is told to go back.
func (r *run) restoreFollowed() error {
	var failed []error
	for _, b := range r.watch.takeBare(func(b *bareGroup) bool { return len(b.anew) != 0 }) {
		if err := r.putBack(&b); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", b.tx.Name, err))
		}
	}
	return errors.Join(failed...)
}

// putBack puts the policies of a group back where it is, and unblocks it.
func (r *run) putBack(b *bareGroup) error {
	if b.at == Stuck || b.at == Unknown || r.outcome(b.gi) != b.at {
		return nil // it is for recover to settle, or was settled since
	}
	s := &settlement{conn: r.cfg.Conn, tx: &b.tx, indexes: &r.indexes, sad: &sad{conn: r.cfg.Conn}, anew: b.anew}
	if len(b.anew) != 0 {
		tx := asNow(b.tx, b.anew)
		s.tx = &tx
	}
	since := time.Now()
	r.holding.Lock()
	got, err := s.run()
	r.holding.Unlock()
	switch {
	case err == nil && b.at == NotFollowed:
		r.event(Event{Kind: Note, Group: b.tx.Name, Text: "its policies were put back; its daemon has still to follow"})
	case b.at == Untouched:
		r.end(b.gi, Undone, got, err, since, time.Since(since))
	default:
		r.end(b.gi, b.at, got, err, since, time.Since(since))
	}
	return err
}

// asNow returns a transaction whose policies ask for what the daemon has set up.
func asNow(tx Transaction, now []ike.ChildSA) Transaction {
	spi := now[0].Out
	if len(now) != 1 { // any SA of the reqid
		spi = 0
	}
	tx.Policies = slices.Clone(tx.Policies)
	for i := range tx.Policies {
		pc := &tx.Policies[i]
		p := *goal(pc)
		p.Templates = slices.Clone(p.Templates)
		for j := range p.Templates {
			t := &p.Templates[j]
			if t.SPI != 0 {
				t.SPI = spi
			}
			if t.Reqid != 0 && now[0].Reqid != 0 {
				t.Reqid = now[0].Reqid
			}
		}
		pc.New = &p
	}
	return tx
}
