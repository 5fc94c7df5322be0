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
}

// Move is one MIGRATE_STATE there and the one back.
type Move struct {
	Dir         xfrm.SADir
	There, Back xfrm.Migration
	Sent        uint64 // the last sequence number sent when the plan was computed: it never falls behind that
}

// NewTransaction returns the transaction of a group.
func NewTransaction(g *plan.Group) Transaction {
	t := Transaction{Name: g.Name, Policies: g.Policies, Moves: make([]Move, len(g.Calls))}
	for i := range g.Calls {
		c := &g.Calls[i]
		t.Moves[i] = Move{Dir: c.Dir, There: c.Migration, Back: c.Inverse(), Sent: c.SA.Replay.Sent}
	}
	return t
}

// Reversed returns the transaction that undoes t.
func (t *Transaction) Reversed() Transaction {
	r := Transaction{
		Name:     t.Name,
		Moves:    make([]Move, len(t.Moves)),
		Policies: make([]plan.PolicyChange, len(t.Policies)),
	}
	for i, m := range t.Moves {
		m.There, m.Back = m.Back, m.There
		r.Moves[len(t.Moves)-1-i] = m
	}
	for i, p := range t.Policies {
		if p.New != nil {
			old := p.Old
			p.Old, p.New = *p.New, &old
		}
		r.Policies[i] = p
	}
	return r
}

// goal is what a policy is to be in the end.
func goal(p *plan.PolicyChange) *xfrm.Policy {
	if p.New != nil {
		return p.New
	}
	return &p.Old
}
