package xfrmtest

import (
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Snapshot is the SAD and SPD at one moment. Its methods change nothing and tell what would become of a packet, so
// that a test can ask after each step of something whether traffic is protected.
type Snapshot struct {
	SAs      []*SA          // newest first, larval ones included
	Policies []*xfrm.Policy // in the order in which they are tried: priority, then age; without those of sockets
	// Listening tells whether somebody would hear an ACQUIRE. Without, a packet that finds no SA leaves no larval SA.
	Listening bool
}

// SA is one entry of the SAD.
type SA struct {
	xfrm.SA
	Larval bool // it waits for its keys

	auth uint8  // number of its authentication algorithm
	live *state // nil in a copy
}

// Snapshot copies the tables.
func (k *Kernel) Snapshot() *Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.view()
	for i := range s.SAs {
		s.SAs[i].live = nil
	}
	for i, p := range s.Policies {
		c := *p
		c.Templates = slices.Clone(p.Templates)
		s.Policies[i] = &c
	}
	return s
}

// view builds a Snapshot whose SAs lead back to the live ones. k.mu is held.
func (k *Kernel) view() *Snapshot {
	s := &Snapshot{Listening: k.listened(xfrm.GroupAcquire)}
	k.sad.each(func(x *state) bool {
		s.SAs = append(s.SAs, &SA{SA: x.sa, Larval: x.larval, auth: x.alg.authID(), live: x})
		return true
	})
	k.spd.each(func(p *policy) bool {
		if !p.socket {
			p.seen.Current = p.current
			s.Policies = append(s.Policies, &p.seen)
		}
		return true
	})
	slices.Reverse(s.Policies) // oldest first
	slices.SortStableFunc(s.Policies, func(a, b *xfrm.Policy) int {
		switch {
		case a.Priority < b.Priority:
			return -1
		case a.Priority > b.Priority:
			return 1
		}
		return 0
	})
	return s
}

// Match returns the policy that decides over the packet in a direction, nil if none does: sub-policies come before
// those of the main SPD.
func (s *Snapshot) Match(dir xfrm.Dir, p Packet) *xfrm.Policy {
	if pol := s.match(xfrm.PolicySub, dir, &p); pol != nil {
		return pol
	}
	return s.match(xfrm.PolicyMain, dir, &p)
}

func (s *Snapshot) match(typ xfrm.PolicyType, dir xfrm.Dir, p *Packet) *xfrm.Policy {
	for _, pol := range s.Policies {
		if pol.Type == typ && pol.Dir == dir && pol.IfID == p.IfID && p.Mark&pol.Mark.Mask == pol.Mark.Value && matches(&pol.Sel, p) {
			return pol
		}
	}
	return nil
}

// stack returns the policies that decide together: a sub-policy, and the main one that it goes with.
func (s *Snapshot) stack(dir, mainDir xfrm.Dir, p *Packet) []*xfrm.Policy {
	pol := s.Match(dir, *p)
	if pol == nil {
		return nil
	}
	if pol.Type == xfrm.PolicySub && pol.Action == xfrm.Allow {
		if m := s.match(xfrm.PolicyMain, mainDir, p); m != nil {
			return []*xfrm.Policy{pol, m}
		}
	}
	return []*xfrm.Policy{pol}
}
