package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// companion leads the IKE daemon after what is done in the kernel. The kernel is not its business but for two things: it looks there for what the
// daemon says it has set up, and it deletes what the daemon does not find any more because it has moved.
type companion struct {
	conn    *xfrm.Conn
	part    *ike.Part
	indexes *indexes
	back    []ike.Move // what the run had it do with the group, if that is being undone
}

// limit is how long the daemon has for one Child SA.
func (c *companion) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), c.part.Config.Timeout)
}

func (c *companion) note(group string, step ike.Step, moves []ike.Move) error {
	if err := c.part.Note(c.noteOf(group, step, moves)); err != nil {
		return fmt.Errorf("%w, so the daemon was told nothing: %w", ErrJournal, err)
	}
	return nil
}

// noteOf is written in the run's direction whatever the direction of what is done, so that whoever reads the last one knows what there is to undo.
func (c *companion) noteOf(group string, step ike.Step, moves []ike.Move) ike.Note {
	if c.back != nil {
		moves = c.back
		if step == ike.Followed {
			step = ike.Intended
		} else {
			step = ike.Establishing
		}
	}
	return ike.Note{Group: group, Step: step, Follow: c.part.Follow, OnLoss: c.part.OnLoss, Config: c.part.Config, Moves: moves}
}

// follow has the daemon set a group up where its SAs are, and forget what that replaces when it carries traffic. It returns what the daemon has now.
func (c *companion) follow(tx *Transaction, moves []ike.Move) ([]ike.ChildSA, error) {
	if err := c.note(tx.Name, ike.Establishing, moves); err != nil {
		return nil, err
	}
	now, err := c.establish(tx, moves)
	if err != nil {
		return now, err
	}
	if err := c.takenOver(tx, moves, now); err != nil {
		return now, err
	}
	return now, c.retire(tx, moves, now)
}

// establish has the daemon set up each Child SA of a group, with its policies: an earlier attempt may have been broken off amid Retire.
func (c *companion) establish(tx *Transaction, moves []ike.Move) (now []ike.ChildSA, err error) {
	if now, err = c.setUpEach(moves); err != nil {
		return now, err
	}
	renewed, err := c.inForce(tx, now)
	if err != nil || !renewed {
		return now, err
	}
	return c.setUpEach(moves) // which is to say, asks what they are now
}

func (c *companion) setUpEach(moves []ike.Move) (now []ike.ChildSA, err error) {
	for i := range moves {
		ctx, cancel := c.limit()
		up, err := c.part.Driver.Establish(ctx, &moves[i])
		cancel()
		if err != nil {
			return now, err
		}
		if up.In == 0 {
			continue
		}
		if err := c.completeReqid(&up, moves); err != nil {
			return now, err
		}
		now = append(now, up)
	}
	return now, nil
}

// completeReqid has the kernel tell the reqid that a daemon doesn't.
func (c *companion) completeReqid(up *ike.ChildSA, moves []ike.Move) error {
	if up.Reqid != 0 {
		return nil
	}
	id, mark := inboundOf(up, moves)
	q := new(query)
	q.ask(xfrm.GetSA(id, mark), func(a *xfrm.Answer) {
		if a != nil {
			up.Reqid = a.SA.Reqid
		}
	})
	return q.run(c.conn)
}

// retire has the daemon forget what was replaced and deletes what it leaves behind. By then everything flows through what is new.
func (c *companion) retire(tx *Transaction, moves []ike.Move, now []ike.ChildSA) error {
	if err := c.note(tx.Name, ike.Retiring, moves); err != nil {
		return err
	}
	ctx, cancel := c.limit()
	defer cancel()
	var old []ike.ChildSA
	for i := range moves {
		old = append(old, moves[i].Old...)
	}
	if err := c.shield(tx, now); err != nil {
		return fmt.Errorf("the new Child SA is up; the old one was left, because its policies could not be kept in force meanwhile: %w", err)
	}
	told := old
	if c.shares() { // it takes whole connections down: what it has forgotten of the one that is up is in the kernel alone
		told = slices.DeleteFunc(slices.Clone(old), func(o ike.ChildSA) bool {
			return slices.ContainsFunc(now, func(n ike.ChildSA) bool { return n.Connection == o.Connection })
		})
	}
	if err := c.part.Driver.Retire(ctx, told); err != nil {
		return fmt.Errorf("the new Child SA is up; the old one could not be retired: %w", err)
	}
	if err := c.deleteReplaced(tx, old); err != nil {
		return err
	}
	if _, err := c.inForce(tx, now); err != nil {
		return err
	}
	if err := c.unshield(tx); err != nil {
		return err
	}
	if err := c.protected(tx); err != nil { // the daemon has had its hands in the policies
		return err
	}
	return c.note(tx.Name, ike.Followed, moves)
}

// takenOver waits until what the daemon has set up carries the group's traffic: the kernel has its SAs and policies, and packets come in on
// them. A tunnel that nothing comes in on, old or new, has nothing to wait for.
func (c *companion) takenOver(tx *Transaction, moves []ike.Move, now []ike.ChildSA) error {
	if err := c.protected(tx); err != nil || len(now) == 0 { // a program of the operator's has said that all is done
		return err
	}
	var replaced []xfrm.Request
	for i := range tx.Moves {
		if m := &tx.Moves[i]; m.Dir == xfrm.SADirIn {
			replaced = append(replaced, xfrm.GetSAStatus(m.There.Target(), m.There.TargetMark()))
		}
	}
	deadline := time.Now().Add(c.part.Config.Timeout)
	var last uint64
	since := time.Now()
	for first := true; ; first = false {
		fresh, err := c.carried(inbound(now, moves), true)
		if err != nil {
			return err
		}
		stale, err := c.carried(replaced, false)
		if err != nil {
			return err
		}
		if stale != last || first {
			last, since = stale, time.Now()
		}
		switch {
		case fresh > 0, time.Since(since) >= quiet:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the new Child SA is up, but after %v the peer still sends through the old one, which was left in place", c.part.Config.Timeout)
		}
		time.Sleep(gatePoll)
	}
}

// quiet is how long nothing must have come in on the old SAs for a tunnel to count as idle. A peer that has the new ones uses them with its next packet;
// two seconds are longer than packets are under way.
const quiet = 2 * time.Second

// inbound asks for the inbound SAs of Child SAs. They have the marks of those that they replace.
func inbound(now []ike.ChildSA, moves []ike.Move) (reqs []xfrm.Request) {
	for i := range now {
		reqs = append(reqs, xfrm.GetSAStatus(inboundOf(&now[i], moves)))
	}
	return reqs
}

func inboundOf(c *ike.ChildSA, moves []ike.Move) (id xfrm.SAID, mark xfrm.Mark) {
	for i := range moves {
		if k := slices.IndexFunc(moves[i].SAs, func(s ike.SA) bool { return s.Dir == xfrm.SADirIn && s.NewDst == c.Local }); k >= 0 {
			mark = moves[i].SAs[k].Mark
		}
	}
	return xfrm.SAID{Dst: xfrm.AddressFrom(c.Local), Family: xfrm.FamilyOf(c.Local), SPI: c.In, Proto: c.Proto}, mark
}

// carried sums up the packets of SAs. Where all must be there, one that is not is an error.
func (c *companion) carried(reqs []xfrm.Request, all bool) (packets uint64, err error) {
	q := new(query)
	for _, r := range reqs {
		q.ask(r, func(a *xfrm.Answer) {
			switch {
			case a != nil:
				packets += a.Status.Current.Packets
			case all && err == nil:
				err = errors.New("the daemon says that the Child SA is up, and the kernel does not have its inbound SA")
			}
		})
	}
	if failed := q.run(c.conn); failed != nil {
		return 0, failed
	}
	return packets, err
}

// protected makes sure that every policy of the group is there in some form that lets nothing through in the clear: the daemon may have rewritten it.
func (c *companion) protected(tx *Transaction) error {
	q := new(query)
	var wrong []error
	for i := range tx.Policies {
		want := goal(&tx.Policies[i])
		q.ask(xfrm.GetPolicyByKey(want), func(a *xfrm.Answer) {
			if a == nil || !protects(a.Policy) {
				wrong = append(wrong, fmt.Errorf("policy %v %v is not what protects its traffic any more", want.Dir, want.Sel))
			}
		})
	}
	if err := q.run(c.conn); err != nil {
		return err
	}
	return errors.Join(wrong...)
}

// deleteReplaced deletes those of the group's SAs that the daemon has retired and that are left all the same: it looked for them where it believed them to be.
// Nothing else of the group is touched.
func (c *companion) deleteReplaced(tx *Transaction, old []ike.ChildSA) error {
	retired := func(id xfrm.SAID) bool {
		return slices.ContainsFunc(old, func(o ike.ChildSA) bool { return o.Owns(&xfrm.SA{ID: id}) })
	}
	q := new(query)
	places := make([]place, len(tx.Moves))
	locate(q, tx.Moves, places)
	if err := q.run(c.conn); err != nil {
		return err
	}
	var reqs []xfrm.Request
	for i, at := range places {
		m := &tx.Moves[i]
		switch {
		case !retired(m.There.ID):
		case at == there:
			reqs = append(reqs, xfrm.DeleteSA(m.There.Target(), m.There.TargetMark()))
		case at == back: // the daemon is about to; it may have been asked a moment ago
			reqs = append(reqs, xfrm.DeleteSA(m.There.ID, m.There.OldMark))
		}
	}
	if len(reqs) == 0 {
		return nil
	}
	var failed []error
	for _, err := range c.conn.Do(reqs...) {
		if err != nil && !absent(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
