package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What a run does about a gateway that does not stand still: a group whose SAs were re-keyed, or whose policies their
// owner rewrote, since the plan was computed is computed again, and so are SAs that came up at the old addresses.

// errChanged means that a group is not any more what its transaction is about. Nothing of it was touched.
var errChanged = errors.New("it changed since the plan was computed and was left alone")

// rounds of again: an IKE daemon re-keys a Child SA once in minutes; one that changes faster is no one's to follow.
const againRounds = 3

// computed is a plan that was computed while the run was at work, and what its groups are found by.
type computed struct {
	plan     *plan.Plan
	part     *ike.Part
	byPolicy map[xfrm.Key]int
	byName   map[string]int
}

func index(p *plan.Plan, part *ike.Part) *computed {
	c := &computed{plan: p, part: part, byPolicy: make(map[xfrm.Key]int), byName: make(map[string]int, len(p.Groups))}
	for gi := range p.Groups {
		g := &p.Groups[gi]
		c.byName[g.Name] = gi
		for i := range g.Policies {
			c.byPolicy[g.Policies[i].Old.Key()] = gi
		}
	}
	return c
}

// find returns the group that a transaction was about: that of all its policies or, where there is none, of its name. A group that lacks policies of the
// transaction's is not that: somebody has deleted them, and to go on would leave what they matched unprotected.
func (c *computed) find(tx *Transaction) (gi int, found bool) {
	if len(tx.Policies) == 0 {
		gi, found = c.byName[tx.Name]
		return gi, found
	}
	for i := range tx.Policies {
		at, some := c.byPolicy[tx.Policies[i].Old.Key()]
		if !some || i > 0 && at != gi {
			return 0, false
		}
		gi = at
	}
	return gi, true
}

// recomputed computes the plan of what there is now. Unless it has to be fresh, what was computed for another group a while ago will do: whether it still
// holds is read before anything is touched.
func (r *run) recomputed(fresh bool) (c *computed, isFresh bool, err error) {
	r.computing.Lock()
	defer r.computing.Unlock()
	if r.computed != nil && !fresh {
		return r.computed, false, nil
	}
	p, part, err := r.cfg.Recompute()
	if err != nil {
		return nil, true, err
	}
	r.computed = index(p, part)
	return r.computed, true, nil
}

// groupAgain returns what has become of a group and what its daemon has of it, or nil.
func (r *run) groupAgain(gi int, fresh bool) (*plan.Group, []ike.Move) {
	c, isFresh, err := r.recomputed(fresh)
	if err != nil {
		return nil, nil
	}
	if at, found := c.find(&r.txs[gi]); found && len(c.plan.Groups[at].After) == 0 && !refused(c.plan, c.plan.Groups[at].Name) {
		var moves []ike.Move
		if c.part != nil {
			moves = slices.Clone(c.part.Moves[at])
		}
		if len(moves) == len(r.moves(gi)) { // what a daemon had a part in has to be arranged with it again, and all of it
			return &c.plan.Groups[at], moves
		}
	}
	if isFresh {
		return nil, nil
	}
	return r.groupAgain(gi, true)
}

// again computes a group anew that has changed, and has its new transaction on disk. It is false where that can't be done.
func (r *run) again(gi, round int) bool {
	if r.cfg.Recompute == nil {
		return false
	}
	g, moves := r.groupAgain(gi, round > 1)
	if g == nil {
		return false
	}
	tx := NewTransaction(g)
	tx.Name = r.txs[gi].Name
	if r.cfg.Journal.Intend([]Transaction{tx}) != nil || r.arrange(gi, tx.Name, moves) != nil { // the journal is dead; the wave's end says so
		return false
	}
	r.mu.Lock()
	r.txs[gi] = tx
	r.mu.Unlock()
	r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("it was re-keyed or rewritten by its owner meanwhile, and computed again: %d calls", len(tx.Moves))})
	return true
}

// arrange makes what a daemon has of a group now its part in the run.
func (r *run) arrange(gi int, group string, moves []ike.Move) error {
	if len(moves) == 0 {
		return nil
	}
	for i := range moves {
		moves[i].Run, moves[i].Group = r.cfg.Run, group
	}
	r.cfg.IKE.Moves[gi] = moves
	return r.cfg.IKE.Note(r.companion().noteOf(group, ike.Intended, moves))
}

// refused reports whether a plan says something against a group, or against all. Temporary policies are those of the groups beside it.
func refused(p *plan.Plan, group string) bool {
	return slices.ContainsFunc(p.Refusals, func(f plan.Refusal) bool {
		return f.Slug != plan.SlugBlockOrphan && (f.Group == "" || f.Group == group)
	})
}

// stragglers moves what came up at the old addresses while the run was at work: a Child SA that was re-keyed after it
// had moved, or a new one of a peer that did not know. What the run has failed to move is none.
func (r *run) stragglers(ctx context.Context) error {
	if r.cfg.Recompute == nil {
		if r.watch.hasHeard() && ctx.Err() == nil {
			r.event(Event{Kind: Note, Text: "SAs came up while the run was at work, and this plan is carried out as it is: whether any of them is at the old addresses was not looked for"})
		}
		return nil
	}
	for round := 1; r.watch.hasHeard() && ctx.Err() == nil; round++ {
		p, _, err := r.cfg.Recompute()
		if err != nil {
			return fmt.Errorf("SAs came up while the run was at work, and whether any is at the old addresses can't be told: %w", err)
		}
		late := r.late(p)
		switch {
		case len(late) == 0:
			return nil
		case len(p.Refusals) != 0:
			return fmt.Errorf("SAs came up at the old addresses while the run was at work, and can't be moved: %v", p.Refusals[0])
		case round > againRounds:
			return fmt.Errorf("SAs still come up at the old addresses after %d rounds, the first of them in %s: see to whoever sets them up", againRounds, late[0].Name)
		}
		wave := r.enlist(late, round)
		r.event(Event{Kind: WaveStarted, Wave: wave.Name, Total: len(wave.Groups)})
		if err := r.wave(ctx, wave); err != nil {
			return err
		}
		r.event(Event{Kind: WaveDone, Wave: wave.Name})
	}
	return nil
}

// late returns the groups of a plan that are not among those that the run has left where they were.
func (r *run) late(p *plan.Plan) (late []*plan.Group) {
	c := index(p, nil)
	left := make(map[int]bool)
	for gi := range r.txs {
		if r.outcome(gi) == Done {
			continue
		}
		if at, found := c.find(&r.txs[gi]); found {
			left[at] = true
		}
	}
	for gi := range p.Groups {
		if !left[gi] {
			late = append(late, &p.Groups[gi])
		}
	}
	return late
}

// enlist makes groups the run's, as a wave of their own. A tunnel that was moved before is another group now.
func (r *run) enlist(late []*plan.Group, round int) *plan.Wave {
	r.mu.Lock()
	defer r.mu.Unlock()
	base := len(r.txs)
	wave := &plan.Wave{Name: fmt.Sprintf("stragglers %d", round)}
	all := *r.plan
	all.Groups = slices.Clone(all.Groups)
	for i := range late {
		g := *late[i]
		g.Name = fmt.Sprintf("%s, straggler %d", g.Name, round)
		g.After = nil // whoever is in its way is the run's, and has moved
		all.Groups = append(all.Groups, g)
		tx := NewTransaction(&g)
		r.txs = append(r.txs, tx)
		r.ended = append(r.ended, make(chan struct{}))
		r.daemon = append(r.daemon, nil)
		r.report.add(&tx)
		wave.Groups = append(wave.Groups, base+i)
	}
	r.plan = &all
	return wave
}
