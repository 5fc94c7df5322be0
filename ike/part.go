package ike

import (
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Part is the part that a daemon has in a run. A nil Part is none.
type Part struct {
	Driver Driver
	Follow bool             // the daemon follows groups that have been moved
	OnLoss bool             // the daemon sets up what the kernel has lost
	Config plan.Reestablish // what Driver was opened with; its Timeout is for one Child SA
	Moves  [][]Move         // by group of the plan; none for a group that isn't the daemon's

	Steps []Step // by group: how far an earlier attempt came; nil in a run

	// Note writes steps down, on disk when it returns. It is called before the step is taken.
	Note func(...Note) error
}

// Step is how far a daemon has come with a group.
type Step string

// The steps. What the daemon has is read from it: these say what it may have been told.
const (
	Intended     Step = "intended"     // the group is about to be moved
	Establishing Step = "establishing" // it is being told to set the group up at the new addresses
	Retiring     Step = "retiring"     // it has, and is being told to forget the old one
	Followed     Step = "followed"     // it is at the new addresses with all of the group
)

// Note is a step in a journal, with all that recover and rollback need to go on from there or back.
type Note struct {
	Group  string           `json:"group"`
	Step   Step             `json:"step"`
	Follow bool             `json:"follow"` // the daemon follows what has moved
	OnLoss bool             `json:"onLoss"`
	Config plan.Reestablish `json:"config"`
	Moves  []Move           `json:"moves"` // in the run's direction
}

// movesOf lays out what a daemon has to set up for a group, one Move for each Child SA that owner finds one for. Child SAs of one child are several if they carry
// different traffic, or the same on different interfaces: to have one of them set up is not to have the others.
func movesOf(p *plan.Plan, g *plan.Group, owner func(*plan.Call) (ChildSA, bool)) (all []Move) {
	type key struct {
		connection, child string
		local, remote     netip.Addr
		traffic           string
		ifIDIn, ifIDOut   uint32
	}
	index := make(map[key]int)
	for i := range g.Calls {
		c := &g.Calls[i]
		own, ok := owner(c)
		if !ok {
			continue
		}
		k := key{own.Connection, own.Child, c.NewLocal(), c.NewRemote(), traffic(&own), own.IfIDIn, own.IfIDOut}
		at, some := index[k]
		if !some {
			at = len(all)
			index[k] = at
			all = append(all, Move{
				Plan: p.Name, Group: g.Name, OldLocal: c.Local(), OldRemote: c.Remote(), Local: c.NewLocal(), Remote: c.NewRemote(),
				Policies: policiesOf(g),
			})
		}
		all[at].add(c, own)
	}
	return all
}

func (m *Move) add(c *plan.Call, own ChildSA) {
	m.SAs = append(m.SAs, SA{
		ID: c.SA.ID, Dir: c.Dir, Mode: c.SA.Mode, Reqid: c.Migration.NewReqid, IfID: c.SA.IfID, Mark: c.Migration.TargetMark(),
		PerCPU: c.SA.CPU != xfrm.AnyCPU,
		Src:    c.SA.SrcIP(), Dst: c.SA.DstIP(), NewSrc: c.NewSrc(), NewDst: c.NewDst(),
	})
	if own.ID == "" && own.Connection == "" {
		return // of a driver that can't tell
	}
	for i := range m.Old {
		if m.Old[i].In == own.In && m.Old[i].Out == own.Out {
			return
		}
	}
	m.Old = append(m.Old, own)
}

func policiesOf(g *plan.Group) []Policy {
	all := make([]Policy, len(g.Policies))
	for i := range g.Policies {
		p := g.Policies[i].Old
		if g.Policies[i].New != nil {
			p = g.Policies[i].New
		}
		all[i] = Policy{Dir: p.Dir, Selector: p.Sel, IfID: p.IfID, Priority: p.Priority}
	}
	return all
}

// Back returns the move in the opposite direction, away from what the daemon has now. What it had before counts as replaced where the kernel has lost
// it.
func (m *Move) Back(now []ChildSA) Move {
	b := *m
	if m.Lost {
		now = append(append([]ChildSA(nil), m.Old...), now...)
	}
	b.Local, b.Remote, b.OldLocal, b.OldRemote = m.OldLocal, m.OldRemote, m.Local, m.Remote
	b.Old = now
	b.SAs = make([]SA, len(m.SAs))
	for i, s := range m.SAs {
		s.Src, s.Dst, s.NewSrc, s.NewDst = s.NewSrc, s.NewDst, s.Src, s.Dst
		b.SAs[i] = s
	}
	return b
}
