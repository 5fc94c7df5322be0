package executor

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// An SA that was re-keyed has another SPI and other keys. What stays is the Child SA: outer addresses, reqid, mark,
// if_id and mode.

// sad is the SAD, dumped once when somebody first asks. It is shared by the settlements of one undo: SAs that are
// re-keyed while that runs are found by the next one.
type sad struct {
	conn *xfrm.Conn
	all  map[childSA][]*xfrm.SA
}

// childSA is what identifies one direction of a Child SA whatever its keys.
type childSA struct {
	src, dst xfrm.Address
	family   xfrm.Family
	proto    xfrm.Proto
	reqid    uint32
	mark     xfrm.Mark
	ifID     uint32
	mode     xfrm.Mode
}

func (s *sad) find(c childSA) ([]*xfrm.SA, error) {
	if s.all == nil {
		sas, err := s.conn.SAs()
		if err != nil {
			return nil, fmt.Errorf("read the SAD: %w", err)
		}
		s.all = make(map[childSA][]*xfrm.SA, len(sas))
		for i := range sas {
			sa := &sas[i]
			if sa.Larval() || sa.Reqid == 0 {
				continue
			}
			k := childSA{sa.Src, sa.ID.Dst, sa.ID.Family, sa.ID.Proto, sa.Reqid, canonical(sa.Mark), sa.IfID, sa.Mode}
			s.all[k] = append(s.all[k], sa)
		}
	}
	return s.all[c], nil
}

// canonical returns the mark as the kernel keeps it.
func canonical(m xfrm.Mark) xfrm.Mark { return xfrm.Mark{Value: m.Key(), Mask: m.Mask} }

func (m *Move) from() childSA {
	return childSA{m.Back.NewSrc, m.There.ID.Dst, m.There.ID.Family, m.There.ID.Proto, m.Back.NewReqid, canonical(m.There.OldMark), m.IfID, m.Mode}
}

func (m *Move) to() childSA {
	t := m.There.Target()
	return childSA{m.There.NewSrc, t.Dst, t.Family, t.Proto, m.There.NewReqid, canonical(m.There.TargetMark()), m.IfID, m.Mode}
}

// succeed looks for SAs that took the place of those that are nowhere, and long after the run also for those that are
// about to. It reports whether it found some that have to move too, which have to be read then.
func (s *settlement) succeed() (more bool, err error) {
	s.rekeyed = make([]bool, len(s.moves))
	var known map[xfrm.SAID]bool
	for i := range s.places {
		m := &s.moves[i]
		if m.Back.NewReqid == 0 || s.places[i] != nowhere && !s.later {
			continue
		}
		if known == nil {
			known = s.known()
		}
		if s.places[i] == nowhere {
			s.rekeyed[i] = s.hasSibling(i)
			for _, to := range s.successors(m) {
				at, err := s.sad.find(to)
				if err != nil {
					return false, err
				}
				for _, sa := range at {
					s.rekeyed[i] = s.rekeyed[i] || !known[sa.ID]
				}
			}
		}
		from, err := s.sad.find(m.from())
		if err != nil {
			return false, err
		}
		for _, sa := range from {
			if !known[sa.ID] {
				n := m.successor(sa)
				known[n.There.ID], known[n.There.Target()] = true, true
				s.moves = append(s.moves, n)
				more = true
			}
		}
	}
	return more, nil
}

// successors lists what another SA in m's place may look like: a daemon that had to start from nothing may have given it another reqid.
func (s *settlement) successors(m *Move) []childSA {
	to := m.to()
	all := []childSA{to}
	for i := range s.anew {
		if id := s.anew[i].Reqid; id != 0 && id != to.reqid {
			other := to
			other.reqid = id
			all = append(all, other)
		}
	}
	return all
}

// known lists where the SAs of the moves are or may be.
func (s *settlement) known() map[xfrm.SAID]bool {
	all := make(map[xfrm.SAID]bool, 2*len(s.moves))
	for i := range s.moves {
		all[s.moves[i].There.ID] = true
		all[s.moves[i].There.Target()] = true
	}
	return all
}

// hasSibling reports whether another SA of the Child SA is there: the younger one of a re-key, as a rule.
func (s *settlement) hasSibling(i int) bool {
	for j := range s.places {
		if j != i && s.places[j] != nowhere && s.moves[j].to() == s.moves[i].to() {
			return true
		}
	}
	return false
}

// successor is the move of the SA that took the place of m's.
func (m *Move) successor(sa *xfrm.SA) Move {
	n := *m
	n.Hop = nil
	n.Added, n.Sent, n.Received = sa.Current.AddTime, sa.Replay.Sent, sa.Replay.Received
	n.There.ID.SPI = sa.ID.SPI
	n.Back.ID.SPI = sa.ID.SPI
	return n
}
