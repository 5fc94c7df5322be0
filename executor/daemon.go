package executor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// companion leads the IKE daemon after what is done in the kernel. The kernel is not its business but for three things: it looks there for what the
// daemon says it has set up, it deletes what the daemon does not find any more because it has moved, and it blocks what the daemon leaves unprotected.
type companion struct {
	conn    *xfrm.Conn
	part    *ike.Part
	indexes *indexes
	back    []ike.Move // what the run had it do with the group, if that is being undone
	told    bool       // to change something
	bare    error      // errBare, if policies of the group were found missing and blocked
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
	return now, c.conclude(tx, moves, now)
}

// conclude retires what is replaced, and notes that the daemon has followed if that has left the group protected.
func (c *companion) conclude(tx *Transaction, moves []ike.Move, now []ike.ChildSA) error {
	if err := c.retire(tx, moves, now); err != nil {
		return err
	}
	if err := c.protected(tx); err != nil { // the daemon has had its hands in the policies
		return err
	}
	return c.note(tx.Name, ike.Followed, moves)
}

// establish has the daemon set up each Child SA of a group, with its policies: an earlier attempt may have been broken off amid Retire.
// What it returns goes by the moves, unless the daemon's driver can't tell, which returns none.
func (c *companion) establish(tx *Transaction, moves []ike.Move) (now []ike.ChildSA, err error) {
	err = c.guarded(tx, func() (err error) {
		if now, err = c.setUpEach(moves); err != nil {
			return err
		}
		renewed, err := c.inForce(tx, now)
		if err == nil && renewed {
			now, err = c.setUpEach(moves) // which is to say, asks what they are now
		}
		return err
	})
	return now, err
}

func (c *companion) setUpEach(moves []ike.Move) (now []ike.ChildSA, err error) {
	c.told = true
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
		if oneOf(now, &up) {
			return now, fmt.Errorf("%v has %v for two Child SAs of the group, one of which it has not set up", c.part.Driver, up.String())
		}
		if err := c.completeReqid(&up, &moves[i]); err != nil {
			return now, err
		}
		now = append(now, up)
	}
	return now, nil
}

// completeReqid has the kernel tell the reqid that a daemon doesn't.
func (c *companion) completeReqid(up *ike.ChildSA, m *ike.Move) error {
	if up.Reqid != 0 {
		return nil
	}
	q := new(query)
	q.ask(xfrm.GetSA(inboundAt(up.Local, up, m)), func(a *xfrm.Answer) {
		if a != nil {
			up.Reqid = a.SA.Reqid
		}
	})
	return q.run(c.conn)
}

// oneOf reports whether a Child SA is among others.
func oneOf(all []ike.ChildSA, c *ike.ChildSA) bool {
	return slices.ContainsFunc(all, func(o ike.ChildSA) bool { return o.In == c.In && o.Out == c.Out && o.Proto == c.Proto })
}

// retire has the daemon forget what was replaced and deletes what it leaves behind. By then everything flows through what is new.
func (c *companion) retire(tx *Transaction, moves []ike.Move, now []ike.ChildSA) error {
	moves, err := c.withRekeyed(moves)
	if err != nil {
		return fmt.Errorf("the new Child SA is up; the old one was left, because whether it was re-keyed meanwhile can't be told: %w", err)
	}
	if err := c.note(tx.Name, ike.Retiring, moves); err != nil {
		return err
	}
	if err := c.shield(tx, now); err != nil {
		return fmt.Errorf("the new Child SA is up; the old one was left, because its policies could not be kept in force meanwhile: %w", err)
	}
	c.told = true
	err = c.guarded(tx, func() error {
		ctx, cancel := c.limit()
		defer cancel()
		return c.part.Driver.Retire(ctx, c.retiring(moves, now))
	})
	if err != nil {
		return fmt.Errorf("the new Child SA is up; the old one could not be retired: %w", err)
	}
	if err := c.deleteReplaced(tx, moves); err != nil {
		return err
	}
	if _, err := c.inForce(tx, now); err != nil {
		return err
	}
	return c.unshield(tx)
}

// retiring lists what the daemon is told to forget.
func (c *companion) retiring(moves []ike.Move, now []ike.ChildSA) (old []ike.ChildSA) {
	for i := range moves {
		old = append(old, moves[i].Old...)
	}
	if !c.shares() {
		return old
	}
	// It takes whole connections down: what it has forgotten of the one that is up is in the kernel alone.
	return slices.DeleteFunc(old, func(o ike.ChildSA) bool {
		return slices.ContainsFunc(now, func(n ike.ChildSA) bool { return n.Connection == o.Connection })
	})
}

// withRekeyed adds to what is to be replaced what the daemon has put in its place since, where it believed it to be: it knows of no move, and re-keys at
// the addresses that it knows.
func (c *companion) withRekeyed(moves []ike.Move) ([]ike.Move, error) {
	ctx, cancel := c.limit()
	defer cancel()
	has, err := c.part.Driver.ChildSAs(ctx)
	if errors.Is(err, errors.ErrUnsupported) { // whoever replaces them knows which
		return moves, nil
	}
	if err != nil {
		return nil, err
	}
	moves = slices.Clone(moves)
	for i := range moves {
		m := &moves[i]
		m.Old = slices.Clone(m.Old)
		for j := range has {
			if rekeyed(m, &has[j]) {
				m.Old = append(m.Old, has[j])
			}
		}
	}
	return moves, nil
}

// rekeyed reports whether a Child SA has come of one that is to be replaced without leaving its place. What is at the addresses to come is what replaces it.
func rekeyed(m *ike.Move, c *ike.ChildSA) bool {
	if c.Local == m.Local && c.Remote == m.Remote || oneOf(m.Old, c) {
		return false
	}
	return slices.ContainsFunc(m.Old, func(o ike.ChildSA) bool {
		return c.Connection == o.Connection && c.Child == o.Child && c.Local == o.Local && c.Remote == o.Remote && c.Proto == o.Proto &&
			c.Mode == o.Mode && c.IfIDIn == o.IfIDIn && c.IfIDOut == o.IfIDOut && slices.Equal(c.LocalTS, o.LocalTS) && slices.Equal(c.RemoteTS, o.RemoteTS)
	})
}

// left says what it means for a group that is where the transaction has it that its daemon could not be brought along.
func (c *companion) left(tx *Transaction, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, errBare) {
		bare := c.protected(tx)
		if bare == nil {
			return fmt.Errorf("%w: %w. %s", ErrNotFollowed, err, notFollowedHint)
		}
		err = fmt.Errorf("%w; besides: %w", bare, err)
	}
	return fmt.Errorf("%v was told to set it up anew: %w. %s", c.part.Driver, err, bareHint)
}

// What to do about it.
const (
	notFollowedHint = "Put right what keeps the daemon from it before it re-keys, then `xfrm-plan recover --forward`; `xfrm-plan recover` goes back to the old addresses"
	bareHint        = "Find out who has taken the policies away, then `xfrm-plan recover --forward` puts them back, and `xfrm-plan recover` goes back to the old addresses"
)

// deleteReplaced deletes those of the SAs that the daemon has retired that are left all the same: it looked for them where it believed them to be.
// Nothing else of the group is touched.
func (c *companion) deleteReplaced(tx *Transaction, moves []ike.Move) error {
	q := new(query)
	var reqs []xfrm.Request
	places := make([]place, len(tx.Moves))
	locate(q, tx.Moves, places)
	for i := range moves {
		m := &moves[i]
		for j := range m.Old {
			if o := &m.Old[j]; !tx.holds(o) {
				askMoved(q, o, m, func(r xfrm.Request) { reqs = append(reqs, r) })
			}
		}
	}
	if err := q.run(c.conn); err != nil {
		return err
	}
	for i, at := range places {
		m := &tx.Moves[i]
		switch {
		case !slices.ContainsFunc(moves, func(of ike.Move) bool { return owns(of.Old, m.There.ID) }):
		case at == there:
			reqs = append(reqs, xfrm.DeleteSA(m.There.Target(), m.There.TargetMark()))
		case at == back: // the daemon is about to; it may have been asked a moment ago
			reqs = append(reqs, xfrm.DeleteSA(m.There.ID, m.There.OldMark))
		}
	}
	var failed []error
	for _, err := range c.conn.Do(reqs...) {
		if err != nil && !absent(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// askMoved asks for the SAs of a Child SA that the transaction knows nothing of, at the addresses to which they may have been moved.
func askMoved(q *query, o *ike.ChildSA, m *ike.Move, remove func(xfrm.Request)) {
	ask := func(id xfrm.SAID, mark xfrm.Mark) {
		q.ask(xfrm.GetSAStatus(id, mark), func(a *xfrm.Answer) {
			if a != nil && o.Owns(&xfrm.SA{ID: id, Reqid: a.Status.Reqid}) {
				remove(xfrm.DeleteSA(id, mark))
			}
		})
	}
	if m.Local != o.Local {
		ask(inboundAt(m.Local, o, m))
	}
	if m.Remote != o.Remote {
		ask(saidOf(m.Remote, o.Out, o.Proto), markOf(m, xfrm.SADirOut))
	}
}

// owns reports whether one of some Child SAs has an SA, by its SPI.
func owns(all []ike.ChildSA, id xfrm.SAID) bool {
	return slices.ContainsFunc(all, func(c ike.ChildSA) bool { return c.Owns(&xfrm.SA{ID: id}) })
}

// holds reports whether a Child SA's SAs are among those that the transaction moves.
func (t *Transaction) holds(c *ike.ChildSA) bool {
	return slices.ContainsFunc(t.Moves, func(m Move) bool { return c.Owns(&xfrm.SA{ID: m.There.ID}) })
}

// inboundAt is where the inbound SA of a Child SA is if that is at a local address. It has the mark of those that it replaces.
func inboundAt(local netip.Addr, c *ike.ChildSA, m *ike.Move) (xfrm.SAID, xfrm.Mark) {
	return saidOf(local, c.In, c.Proto), markOf(m, xfrm.SADirIn)
}

func saidOf(dst netip.Addr, spi xfrm.SPI, proto xfrm.Proto) xfrm.SAID {
	return xfrm.SAID{Dst: xfrm.AddressFrom(dst), Family: xfrm.FamilyOf(dst), SPI: spi, Proto: proto}
}

func markOf(m *ike.Move, dir xfrm.SADir) xfrm.Mark {
	for i := range m.SAs {
		if m.SAs[i].Dir == dir {
			return m.SAs[i].Mark
		}
	}
	return xfrm.Mark{}
}
