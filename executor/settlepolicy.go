package executor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// What a settlement does about policies. There are three kinds of them at a Key of the transaction: what it came from or
// goes to, a block in place of ours, and those that their owner has rewritten meanwhile, which are kept theirs.

// theirs returns the policy where pc's goal should be, if it is neither that nor anything that the transaction put there.
func (s *settlement) theirs(pc *plan.PolicyChange) *xfrm.Policy {
	got := s.spd[goal(pc).Key()]
	if got == nil || blockedInPlace(got) || sameButSPIs(got, goal(pc)) || sameButSPIs(got, pc.Old) {
		return nil
	}
	return got
}

// policies says which policies are not as they should be.
func (s *settlement) policies() error {
	var wrong []error
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		want := goal(pc)
		got := s.spd[want.Key()]
		switch {
		case got == nil:
			wrong = append(wrong, fmt.Errorf("policy %v %v is not there", want.Dir, want.Sel))
		case s.theirs(pc) != nil:
			if !protects(got) && s.coverOver(want) != nil {
				wrong = append(wrong, fmt.Errorf("policy %v %v was rewritten by somebody else to let packets through in the clear: its block stays until you delete it",
					want.Dir, want.Sel))
			}
		case !sameButSPIs(got, want):
			wrong = append(wrong, fmt.Errorf("policy %v %v could not be rewritten", want.Dir, want.Sel))
		}
		if stale := s.stale(pc); stale != nil {
			wrong = append(wrong, fmt.Errorf("policy %v %v could not be deleted", stale.Dir, stale.Sel))
		}
	}
	return errors.Join(wrong...)
}

// stale returns the policy that has to go because the goal is over other packets.
func (s *settlement) stale(pc *plan.PolicyChange) *xfrm.Policy {
	if !reselected(pc) {
		return nil
	}
	if got := s.spd[pc.Old.Key()]; got != nil && (blockedInPlace(got) || sameButSPIs(got, pc.Old)) {
		return got
	}
	return nil
}

// covering lists the tagged policies that are there.
func (s *settlement) covering() (all []*xfrm.Policy) {
	for i := range s.tx.Policies {
		for _, p := range versions(&s.tx.Policies[i]) {
			if c := s.coverOver(p); c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// cover puts the outbound blocks up that are missing, so that nothing leaves while SAs and policies are moved.
func (s *settlement) cover() error {
	var reqs []xfrm.Request
	for i := len(s.tx.Policies) - 1; i >= 0; i-- { // the youngest first; see coversOf
		pc := &s.tx.Policies[i]
		if pc.Old.Dir != xfrm.DirOut || s.theirs(pc) != nil {
			continue
		}
		for _, p := range versions(pc) {
			got := s.spd[p.Key()]
			switch {
			case !replacedInPlace(pc):
				if s.coverOver(p) == nil {
					b := block(p, s.indexes.next(xfrm.DirOut))
					reqs = append(reqs, xfrm.NewPolicy(&b))
				}
			case got != nil && !blockedInPlace(got), got == nil && p.Key() == goal(pc).Key():
				b := blockInPlace(p)
				reqs = append(reqs, xfrm.UpdatePolicy(&b))
			}
		}
	}
	return s.do("block", reqs)
}

// replace puts the policies in that should be there. One over other packets is acknowledged before the one that it replaces
// goes: no shadow covers inbound packets here, and they would be accepted in the clear.
func (s *settlement) replace() error {
	if err := s.read(); err != nil { // what cover has blocked in place
		return err
	}
	var reqs, stale []xfrm.Request
	tied := plan.Tied(s.tx.Policies)
	if err := s.do("shadow", s.shadowing(tied)); err != nil {
		return err
	}
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		want := goal(pc)
		switch got := s.spd[want.Key()]; {
		case got == nil:
			reqs = append(reqs, xfrm.NewPolicy(s.freeIndex(pc, want)))
		case s.theirs(pc) != nil, !tied[i] && sameButSPIs(got, want):
		case s.byIndex(pc, tied[i]):
			next := *withSPIs(want, got)
			next.Index = got.Index
			reqs = append(reqs, xfrm.DeletePolicy(got), xfrm.NewPolicy(&next))
		default:
			reqs = append(reqs, xfrm.UpdatePolicy(withSPIs(want, got)))
		}
		if p := s.stale(pc); p != nil {
			stale = append(stale, xfrm.DeletePolicy(p))
		}
	}
	if err := s.do("switch", reqs); err != nil {
		return err
	}
	return s.do("switch", stale)
}

// byIndex reports whether a policy is there that has to be rewritten and that is deleted and added anew, under cover: that costs the same in an SPD of any
// size. Policies that stand in an order of age and those of priority 0 are replaced in place.
func (s *settlement) byIndex(pc *plan.PolicyChange, tied bool) bool {
	got := s.spd[goal(pc).Key()]
	return !tied && pc.New != nil && !reselected(pc) && !replacedInPlace(pc) && got != nil && s.theirs(pc) == nil && !sameButSPIs(got, goal(pc))
}

// shadowing puts shadows over inbound and forward policies. Those that are deleted and added anew would let cleartext in meanwhile. Of those that stand in an
// order of age each replacement makes one the youngest, and until the last one is replaced a bypass may be older than what it must not outrank.
func (s *settlement) shadowing(tied []bool) (reqs []xfrm.Request) {
	for i := range s.tx.Policies {
		pc := &s.tx.Policies[i]
		if !tied[i] && !s.byIndex(pc, false) {
			continue
		}
		if pc.New == nil || pc.Old.Dir == xfrm.DirOut || replacedInPlace(pc) || changesFamily(pc) || s.theirs(pc) != nil || s.coverOver(pc.Old) != nil {
			continue
		}
		p := shadow(pc, s.indexes.next(pc.Old.Dir))
		reqs = append(reqs, xfrm.NewPolicy(&p))
	}
	return reqs
}

// freeIndex returns want to be added: with the index it had, unless the one that it replaces still has that.
func (s *settlement) freeIndex(pc *plan.PolicyChange, want *xfrm.Policy) *xfrm.Policy {
	if reselected(pc) {
		return anyIndex(want)
	}
	return want
}

// uncover deletes the covers over what is whole again, by the index that the kernel says they have.
func (s *settlement) uncover() error {
	if err := s.read(); err != nil {
		return err
	}
	if s.moved() != nil {
		return errNotMoved
	}
	whole := s.policies() == nil
	var reqs []xfrm.Request
	// The youngest first; see covers.tagged.
	for i := len(s.tx.Policies) - 1; i >= 0; i-- {
		pc := &s.tx.Policies[i]
		got := s.spd[goal(pc).Key()]
		// What lets packets through in the clear, and is meant to, is a younger one of equal priority as a rule: it is
		// unblocked where the older ones are back.
		asMeant := whole && got != nil && sameButSPIs(got, goal(pc))
		if !protects(got) && !asMeant {
			continue
		}
		for _, p := range versions(pc) {
			if c := s.coverOver(p); c != nil {
				reqs = append(reqs, xfrm.DeletePolicy(c))
			}
		}
	}
	return s.do("unblock", reqs)
}

// sameButSPIs reports whether two policies mean the same but for the SPIs in their templates: strongSwan puts the
// outbound SA's there, and so rewrites the policy with each re-key.
func sameButSPIs(got, want *xfrm.Policy) bool {
	if len(got.Templates) != len(want.Templates) {
		return false
	}
	return got.Same(withSPIs(want, got))
}

// withSPIs returns want with the SPIs of got's templates, where got has as many.
func withSPIs(want, got *xfrm.Policy) *xfrm.Policy {
	if len(got.Templates) != len(want.Templates) {
		return want
	}
	w := *want
	w.Templates = slices.Clone(want.Templates)
	for i := range w.Templates {
		if w.Templates[i].SPI != 0 && got.Templates[i].SPI != 0 {
			w.Templates[i].SPI = got.Templates[i].SPI
		}
	}
	return &w
}
