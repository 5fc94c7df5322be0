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
// and is accepted, in the clear. It is blocked at once, in every direction. If the SAs are gone a moment later their owner has closed the tunnel down, and the
// blocks go. If not, the run ends, and the policies are put back then (putback.go).

// bareGroup is a group that no transaction is working on and that has SAs and lacks policies.
type bareGroup struct {
	gi   int
	at   Outcome       // when it was inspected
	tx   Transaction   // in the direction of where the group is
	anew []ike.ChildSA // what its daemon has set up in the place of what was moved

	since  time.Time // when it was blocked
	judged bool      // it is no tunnel that was being closed down
}

// closing is how long the owner of a tunnel may take from deleting its policies to deleting its SAs, or to putting other policies in.
var closing = 500 * time.Millisecond

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
// SAs are there they are blocked.
func (w *watch) inspect(groups []int) {
	for some := range slices.Chunk(groups, lastLookGroups) {
		w.inspectSome(some)
	}
}

// inspectSome inspects groups while no transaction is at work.
func (w *watch) inspectSome(groups []int) {
	w.r.holding.Lock()
	defer w.r.holding.Unlock()
	bare, err := w.r.bare(w.resting(groups), true)
	if err != nil || len(bare) == 0 {
		return // what can't be read the run will meet itself
	}
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
		before := w.bare[b.gi]
		b.since, b.judged = time.Now(), before.judged && before.at == b.at
		w.bare[b.gi] = b
	}
}

// judge decides about the groups that were blocked a moment ago, and reports whether there are some that it is too early for. Where SAs still lack policies
// the run ends. Others are unblocked.
func (w *watch) judge() (early bool) {
	due, early := w.due()
	bare := 0
	first := ""
	for some := range slices.Chunk(due, lastLookGroups) {
		for _, b := range w.judgeSome(some) {
			if bare++; bare == 1 {
				first = b.tx.Name
			}
		}
	}
	if bare != 0 {
		w.fail(fmt.Errorf("%w: of %d tunnels, the first of them %s. They were blocked at once, and what can be is put back", ErrUnprotected, bare, first))
	}
	return early
}

// due lists the groups that it is time to judge, and reports whether there are others.
func (w *watch) due() (due []bareGroup, early bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, gi := range slices.Sorted(maps.Keys(w.bare)) {
		switch b := w.bare[gi]; {
		case b.judged:
		case time.Since(b.since) < closing:
			early = true
		default:
			due = append(due, b)
		}
	}
	return due, early
}

// judgeSome returns those of the groups that are bare still, and unblocks the others. Where that can't be read all are.
func (w *watch) judgeSome(groups []bareGroup) (bare []bareGroup) {
	w.r.holding.Lock()
	defer w.r.holding.Unlock()
	bare, err := w.r.bare(groups, false)
	if err != nil {
		bare = groups
	}
	open := make(map[int]bool)
	w.mu.Lock()
	for _, b := range bare {
		b.judged, open[b.gi] = true, true
		w.bare[b.gi] = b
	}
	w.mu.Unlock()
	closed := slices.DeleteFunc(slices.Clone(groups), func(b bareGroup) bool { return open[b.gi] })
	w.unblock(closed)
	w.mu.Lock()
	for _, b := range closed {
		delete(w.bare, b.gi)
	}
	w.mu.Unlock()
	return bare
}

// hasBlocked reports whether a group was blocked because it lacked policies.
func (w *watch) hasBlocked(gi int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, blocked := w.bare[gi]
	return blocked
}

// fail ends the run's work.
func (w *watch) fail(err error) {
	w.mu.Lock()
	w.failed = errors.Join(w.failed, err)
	w.mu.Unlock()
	w.stop()
	w.r.event(Event{Kind: Note, Text: err.Error()})
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

// bare returns those of the groups that have SAs and lack policies, or policies and their covers.
func (r *run) bare(groups []bareGroup, covered bool) (all []bareGroup, err error) {
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
			if covered {
				q.ask(xfrm.GetPolicyByKey(coverKey(want)), func(a *xfrm.Answer) { there = a != nil })
			}
			q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) {
				there = there || a != nil && (covered || !blockedInPlace(a.Policy))
				missing[i] = missing[i] || !there
			})
		}
	}
	if err := q.run(r.cfg.Conn); err != nil {
		return nil, err
	}
	sas := &sad{conn: r.cfg.Conn}
	for i := range groups {
		if missing[i] && r.hasSAs(&groups[i], places[i], sas) {
			all = append(all, groups[i])
		}
	}
	return all, nil
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

// unblock takes away what block has put over the policies of groups.
func (w *watch) unblock(groups []bareGroup) {
	q := new(query)
	var reqs []xfrm.Request
	for i := range groups {
		for j := range groups[i].tx.Policies {
			want := goal(&groups[i].tx.Policies[j])
			for _, k := range []*xfrm.Policy{coverKey(want), want} {
				q.ask(xfrm.GetPolicyByKey(k), func(a *xfrm.Answer) {
					// A tagged copy with templates is a shield: it protects what a daemon is changing.
					if a != nil && (a.Policy.Tagged() && a.Policy.Action == xfrm.Block || blockedInPlace(a.Policy)) {
						reqs = append(reqs, xfrm.DeletePolicy(a.Policy))
					}
				})
			}
		}
	}
	if q.run(w.r.cfg.Conn) == nil && len(reqs) != 0 {
		_ = w.r.cfg.Conn.Do(reqs...) // a block that stays is found by recover
	}
}
