package executor

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// quiet is how long nothing must have come in on the old SAs for a tunnel to count as idle. A peer that has the new ones uses them with its next packet;
// two seconds are longer than packets are under way.
const quiet = 2 * time.Second

// takenOver waits until what the daemon has set up carries the group's traffic: the kernel has its SAs and policies, and on each of them packets come in.
// A Child SA that nothing comes in on, old or new, has nothing to wait for; nor has one that was there before the run, which its peer turns to when the
// other one goes.
func (c *companion) takenOver(tx *Transaction, moves []ike.Move, now []ike.ChildSA) error {
	if err := c.protected(tx); err != nil {
		return err
	}
	waiting, err := c.still(handovers(tx, moves, now))
	if err != nil || len(waiting) == 0 { // all is in use, or a program of the operator's has said that all is done
		return err
	}
	if moves, err = c.withRekeyed(moves); err != nil {
		return err
	}
	waiting = handovers(tx, moves, now)
	for deadline := time.Now().Add(c.part.Config.Timeout); ; time.Sleep(gatePoll) {
		if err := c.protected(tx); err != nil {
			return err
		}
		if waiting, err = c.still(waiting); err != nil || len(waiting) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the new Child SA %v is up, but after %v the peer still sends through the old one, which was left in place", waiting[0].now, c.part.Config.Timeout)
		}
	}
}

func handovers(tx *Transaction, moves []ike.Move, now []ike.ChildSA) (all []*handover) {
	for i := range now {
		if !tx.holds(&now[i]) {
			all = append(all, handoverTo(&now[i], &moves[i]))
		}
	}
	return all
}

// handover is a Child SA that is to carry what others carry.
type handover struct {
	now   *ike.ChildSA
	fresh xfrm.Request   // its inbound SA
	stale []xfrm.Request // those of the others, wherever they may be

	came  uint64    // packets on those, when they were last counted
	since time.Time // when they were last other than that; zero before
}

func handoverTo(now *ike.ChildSA, m *ike.Move) *handover {
	h := &handover{now: now, fresh: xfrm.GetSAStatus(inboundAt(now.Local, now, m))}
	for i := range m.Old {
		o := &m.Old[i]
		places := []netip.Addr{o.Local}
		if m.Local != o.Local { // it may have moved
			places = append(places, m.Local)
		}
		for _, at := range places {
			h.stale = append(h.stale, xfrm.GetSAStatus(inboundAt(at, o, m)))
		}
	}
	return h
}

// still returns those that are not through yet.
func (c *companion) still(waiting []*handover) (more []*handover, err error) {
	q := new(query)
	fresh, stale := make([]uint64, len(waiting)), make([]uint64, len(waiting))
	for i, h := range waiting {
		q.ask(h.fresh, func(a *xfrm.Answer) {
			if a == nil {
				err = fmt.Errorf("the daemon says that %v is up, and the kernel does not have its inbound SA", h.now)
				return
			}
			fresh[i] = a.Status.Current.Packets
		})
		for _, r := range h.stale {
			q.ask(r, func(a *xfrm.Answer) {
				if a != nil {
					stale[i] += a.Status.Current.Packets
				}
			})
		}
	}
	if failed := q.run(c.conn); failed != nil {
		return nil, failed
	}
	for i, h := range waiting {
		if h.since.IsZero() || stale[i] != h.came {
			h.came, h.since = stale[i], time.Now()
		}
		if fresh[i] == 0 && time.Since(h.since) < quiet {
			more = append(more, h)
		}
	}
	return more, err
}
