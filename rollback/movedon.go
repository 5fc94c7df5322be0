package rollback

import (
	"slices"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// MovedOn returns the last run that has moved SAs of this one on, and was not undone since, or nothing. It has to be
// undone first: where this run has left those SAs they are no more.
func (d *StateDir) MovedOn(p *Past) (run string, err error) {
	here, err := d.Here(p.Header.Cookie)
	if err != nil {
		return "", err
	}
	at := p.places(func(m *xfrm.Migration) sa { return sa{m.Target(), m.TargetMark()} })
	for _, run := range slices.Backward(here) {
		if run == p.Header.Run {
			break
		}
		later, err := d.ReadJournal(run)
		if err != nil {
			return "", err
		}
		for from := range later.places(func(m *xfrm.Migration) sa { return sa{m.ID, m.OldMark} }) {
			if at[from] {
				return run, nil
			}
		}
	}
	return "", nil
}

// sa is what the kernel tells SAs apart by.
type sa struct {
	id   xfrm.SAID
	mark xfrm.Mark
}

// places returns where the SAs of the groups that have moved are or were.
func (p *Past) places(of func(*xfrm.Migration) sa) map[sa]bool {
	all := make(map[sa]bool)
	for i := range p.Transactions {
		t := &p.Transactions[i]
		if p.Outcomes[t.Name] != executor.Done {
			continue
		}
		for j := range t.Moves {
			all[of(&t.Moves[j].There)] = true
		}
	}
	return all
}
