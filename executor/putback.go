package executor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
)

// What a run does in the end about the tunnels that it has blocked because their policies were gone.

// settled looks, and returns when nothing is left to be judged.
func (w *watch) settled() {
	if w.r.cfg.Monitor != nil {
		w.lookWell()
		w.settle()
	}
}

// settle waits until it is known of every group that was blocked whether it was being closed down.
func (w *watch) settle() {
	for w.judge() {
		time.Sleep(watchTick)
	}
}

// restore settles groups that were blocked because their policies were gone, where they are: what has moved and has not been undone since as the run had
// made it, the others as they were. Whoever deletes them again meanwhile is noticed, and given up on in the end.
func (r *run) restore() error {
	if r.cfg.Monitor == nil {
		return nil
	}
	var failed []error
	for range rounds {
		r.watch.settled()
		bare := r.watch.takeBare(anyBare)
		if len(bare) == 0 {
			return errors.Join(failed...)
		}
		sas := &sad{conn: r.cfg.Conn}
		for i := range bare {
			if err := r.putBack(&bare[i], sas); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", bare[i].tx.Name, err))
			}
		}
	}
	r.watch.settled()
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
	sas := &sad{conn: r.cfg.Conn}
	for _, b := range r.watch.takeBare(func(b *bareGroup) bool { return len(b.anew) != 0 }) {
		if err := r.putBack(&b, sas); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", b.tx.Name, err))
		}
	}
	return errors.Join(failed...)
}

// putBack puts the policies of a group back where it is, and unblocks it.
func (r *run) putBack(b *bareGroup, sas *sad) error {
	if b.at == Stuck || b.at == Unknown || r.outcome(b.gi) != b.at {
		return nil // it is for recover to settle, or was settled since
	}
	s := &settlement{conn: r.cfg.Conn, tx: &b.tx, indexes: &r.indexes, sad: sas, anew: b.anew}
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
