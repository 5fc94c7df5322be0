package executor

import (
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Transaction is what is done for one group and how it is undone: all that the engine needs of it, and all that a
// journal has to keep. It holds no secrets.
type Transaction struct {
	Name     string
	Moves    []Move
	Policies []plan.PolicyChange

	back bool // it is the reverse of what the run was to do
}

// Move is one MIGRATE_STATE there and the one back.
type Move struct {
	Dir         xfrm.SADir
	Mode        xfrm.Mode
	IfID        uint32
	There, Back xfrm.Migration
	Hop         *xfrm.SAID // where the SA steps aside to before the others move; nil as a rule

	// What tells the SA from another that may come to stand at one of its tuples.
	Added          uint64 // when, in seconds since the Unix epoch
	Sent, Received uint64 // sequence numbers when the plan was computed: they never fall behind that
}

// NewTransaction returns the transaction of a group.
func NewTransaction(g *plan.Group) Transaction {
	t := Transaction{Name: g.Name, Policies: g.Policies, Moves: make([]Move, len(g.Calls))}
	for i := range g.Calls {
		c := &g.Calls[i]
		t.Moves[i] = Move{
			Dir: c.Dir, Mode: c.SA.Mode, IfID: c.SA.IfID, There: c.Migration, Back: c.Inverse(), Hop: c.Hop,
			Added: c.SA.Current.AddTime, Sent: c.SA.Replay.Sent, Received: c.SA.Replay.Received,
		}
	}
	return t
}

// Reversed returns the transaction that undoes t.
func (t *Transaction) Reversed() Transaction {
	r := Transaction{
		Name:     t.Name,
		Moves:    make([]Move, len(t.Moves)),
		Policies: make([]plan.PolicyChange, len(t.Policies)),
		back:     !t.back,
	}
	for i, m := range t.Moves {
		m.There, m.Back = m.Back, m.There
		r.Moves[len(t.Moves)-1-i] = m
	}
	for i, p := range t.Policies {
		if p.New != nil {
			p.Old, p.New = p.New, p.Old
		}
		r.Policies[i] = p
	}
	return r
}

// stepAside is the migration to the hop: nothing changes but the addresses.
func (m *Move) stepAside() xfrm.Migration {
	return xfrm.Migration{
		ID: m.There.ID, NewDst: m.Hop.Dst, NewSrc: m.Hop.Dst, NewFamily: m.Hop.Family,
		OldMark: m.There.OldMark, NewSel: m.Back.NewSel, NewReqid: m.Back.NewReqid,
	}
}

// fromHop is the migration from the hop on.
func (m *Move) fromHop() xfrm.Migration {
	next := m.There
	next.ID = *m.Hop
	return next
}

// migrations lists the calls for the moves that stand at the given places, in an order in which
// each finds its target free: those that step aside first, then those without a hop, then those from their hops.
func migrations(moves []Move, at func(i int) place) (reqs []xfrm.Request) {
	add := func(m xfrm.Migration) { reqs = append(reqs, m.Request()) }
	for i := range moves {
		if m := &moves[i]; m.Hop != nil && at(i) == back {
			add(m.stepAside())
		}
	}
	for i := range moves {
		if m := &moves[i]; m.Hop == nil && at(i) == back {
			add(m.There)
		}
	}
	for i := range moves {
		if m := &moves[i]; m.Hop != nil && (at(i) == back || at(i) == aside) {
			add(m.fromHop())
		}
	}
	return reqs
}

// goal is what a policy is to be in the end.
func goal(p *plan.PolicyChange) *xfrm.Policy {
	if p.New != nil {
		return p.New
	}
	return p.Old
}
