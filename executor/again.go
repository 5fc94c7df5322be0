package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What a run does about a gateway that does not stand still: a group whose SAs were re-keyed, or whose policies their
// owner rewrote, since the plan was computed is computed again, and so are SAs that came up at the old addresses.

// errChanged means that a group is not any more what its transaction is about. Nothing of it was touched.
var errChanged = errors.New("it changed since the plan was computed and was left alone")

// rounds of again: an IKE daemon re-keys a Child SA once in minutes; one that changes faster is no one's to follow.
const againRounds = 3

// again computes a group anew that has changed, and has its new transaction on disk. It is false where that can't be done.
func (r *run) again(gi int) bool {
	if r.cfg.Recompute == nil || len(r.moves(gi)) != 0 { // what a daemon has a part in was arranged with it
		return false
	}
	p, err := r.cfg.Recompute()
	if err != nil {
		return false
	}
	at := slices.IndexFunc(p.Groups, func(g plan.Group) bool { return sameGroup(&g, &r.txs[gi]) })
	if at < 0 || len(p.Groups[at].After) != 0 || refused(p, p.Groups[at].Name) {
		return false
	}
	tx := NewTransaction(&p.Groups[at])
	tx.Name = r.txs[gi].Name
	if r.cfg.Journal.Intend([]Transaction{tx}) != nil { // the journal is dead; the wave's end says so
		return false
	}
	r.txs[gi] = tx
	r.event(Event{Kind: Note, Group: tx.Name, Text: fmt.Sprintf("it was re-keyed or rewritten by its owner meanwhile, and computed again: %d calls", len(tx.Moves))})
	return true
}

// sameGroup reports whether a group is what a transaction was about: they have a policy in common or, where there is
// none, the name.
func sameGroup(g *plan.Group, tx *Transaction) bool {
	if len(tx.Policies) == 0 || len(g.Policies) == 0 {
		return g.Name == tx.Name
	}
	keys := make(map[xfrm.Key]bool, len(tx.Policies))
	for i := range tx.Policies {
		keys[tx.Policies[i].Old.Key()] = true
	}
	return slices.ContainsFunc(g.Policies, func(pc plan.PolicyChange) bool { return keys[pc.Old.Key()] })
}

// refused reports whether a plan says something against a group, or against all.
func refused(p *plan.Plan, group string) bool {
	return slices.ContainsFunc(p.Refusals, func(f plan.Refusal) bool { return f.Group == "" || f.Group == group })
}

// stragglers moves what came up at the old addresses while the run was at work: a Child SA that was re-keyed after it
// had moved, or a new one of a peer that did not know.
func (r *run) stragglers(ctx context.Context) error {
	for round := 1; r.cfg.Recompute != nil && r.watch.hasHeard() && ctx.Err() == nil; round++ {
		p, err := r.cfg.Recompute()
		switch {
		case err != nil:
			return fmt.Errorf("SAs came up while the run was at work, and whether any is at the old addresses can't be told: %w", err)
		case p.Empty():
			return nil
		case len(p.Refusals) != 0:
			return fmt.Errorf("SAs came up at the old addresses while the run was at work, and can't be moved: %v", p.Refusals[0])
		case round > againRounds:
			return fmt.Errorf("SAs still come up at the old addresses after %d rounds, the first of them in %s: see to whoever sets them up", againRounds, p.Groups[0].Name)
		}
		wave := r.enlist(p, round)
		r.event(Event{Kind: WaveStarted, Wave: wave.Name, Total: len(wave.Groups)})
		if err := r.wave(ctx, wave); err != nil {
			return err
		}
		r.event(Event{Kind: WaveDone, Wave: wave.Name})
	}
	return nil
}

// enlist makes a plan's groups the run's, as a wave of their own. A tunnel that was moved before is another group now.
func (r *run) enlist(p *plan.Plan, round int) *plan.Wave {
	r.mu.Lock()
	defer r.mu.Unlock()
	base := len(r.txs)
	wave := &plan.Wave{Name: fmt.Sprintf("stragglers %d", round)}
	all := *r.plan
	all.Groups = slices.Clone(all.Groups)
	for i := range p.Groups {
		g := p.Groups[i]
		g.Name = fmt.Sprintf("%s, straggler %d", g.Name, round)
		g.After = slices.Clone(g.After)
		for j := range g.After {
			g.After[j] += base
		}
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
