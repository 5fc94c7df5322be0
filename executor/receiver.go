package executor

import (
	"context"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// receiver is an inbound SA that has to receive something.
type receiver struct {
	group  int
	move   *Move
	before uint64 // packets that had come in when the gate began to look
	now    uint64
	gone   bool
}

// silent waits until an inbound SA of each group has received a packet since it was moved, and returns the groups
// where none has in time. Of a group with several, as during a re-key, one is enough, and so is one that has taken the
// place of one that was moved; a group without any is not asked.
func (r *run) silent(ctx context.Context, groups []int, within time.Duration) ([]int, error) {
	deadline := time.Now().Add(within)
	waiting := r.receivers(groups)
	if err := r.count(waiting); err != nil {
		return nil, err
	}
	for i := range waiting {
		waiting[i].before = waiting[i].now
	}
	for {
		if err := r.count(waiting); err != nil {
			return nil, err
		}
		waiting = without(waiting, func(sa *receiver) bool { return sa.now > sa.before })
		over := !time.Now().Before(deadline)
		if over || !slices.ContainsFunc(waiting, func(sa receiver) bool { return !sa.gone }) { // nothing else is left to ask
			heirs, err := r.heirs(waiting)
			if err != nil {
				return nil, err
			}
			waiting = without(waiting, func(sa *receiver) bool { return heirs[sa.move] > 0 })
		}
		if len(waiting) == 0 || over {
			return groupsOf(waiting), nil
		}
		select {
		case <-ctx.Done():
			return nil, errUnchecked
		case <-time.After(min(gatePoll, time.Until(deadline))):
		}
	}
}

// receivers lists the inbound SAs of the groups, group by group.
func (r *run) receivers(groups []int) (all []receiver) {
	for _, gi := range groups {
		for i := range r.txs[gi].Moves {
			if m := &r.txs[gi].Moves[i]; m.Dir == xfrm.SADirIn {
				all = append(all, receiver{group: gi, move: m})
			}
		}
	}
	return all
}

// without drops the groups that one of the SAs has heard something for.
func without(all []receiver, heard func(*receiver) bool) []receiver {
	through := make(map[int]bool)
	for i := range all {
		if heard(&all[i]) {
			through[all[i].group] = true
		}
	}
	return slices.DeleteFunc(all, func(sa receiver) bool { return through[sa.group] })
}

func groupsOf(all []receiver) []int {
	groups := make([]int, len(all))
	for i := range all {
		groups[i] = all[i].group
	}
	return slices.Compact(groups)
}

// count reads how many packets each SA has received in all.
func (r *run) count(all []receiver) error {
	q := queryOf(len(all))
	for i := range all {
		sa := &all[i]
		q.ask(xfrm.GetSAStatus(sa.move.There.Target(), sa.move.There.TargetMark()), func(a *xfrm.Answer) {
			if sa.gone = a == nil; !sa.gone {
				sa.now = a.Status.Current.Packets
			}
		})
	}
	return q.run(r.cfg.Conn)
}

// heirs reads how many packets have come in on SAs that were set up in the place of those that were moved, which is all
// that they have received: they never were at the old addresses.
func (r *run) heirs(all []receiver) (map[*Move]uint64, error) {
	packets := make(map[*Move]uint64)
	sad := &sad{conn: r.cfg.Conn}
	for i := range all {
		m := all[i].move
		at, err := sad.find(m.to())
		if err != nil {
			return nil, err
		}
		for _, sa := range at {
			if !slices.ContainsFunc(r.txs[all[i].group].Moves, func(own Move) bool { return own.There.Target() == sa.ID }) {
				packets[m] += sa.Current.Packets
			}
		}
	}
	return packets, nil
}
