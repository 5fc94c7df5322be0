package executor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// place is where an SA was found.
type place int

const (
	nowhere place = iota
	there
	back  // where it came from
	aside // at its hop
	twice // at more than one of them, which can't be
)

// verify reads every SA and policy of a transaction back and says what is not as it should be.
func verify(conn *xfrm.Conn, tx *Transaction) error {
	places, err := locate(conn, tx)
	if err != nil {
		return err
	}
	var wrong []error
	for i, at := range places {
		if at != there {
			wrong = append(wrong, fmt.Errorf("SA %v is not where it should be", tx.Moves[i].There.Target()))
		}
	}
	got, errs := conn.PoliciesByIndex(goals(tx))
	for i := range got {
		want := goal(&tx.Policies[i])
		if errs[i] != nil || !got[i].Same(want) {
			wrong = append(wrong, fmt.Errorf("policy %v %v is not as it should be", want.Dir, want.Sel))
		}
	}
	return errors.Join(wrong...)
}

func goals(tx *Transaction) []*xfrm.Policy {
	all := make([]*xfrm.Policy, len(tx.Policies))
	for i := range tx.Policies {
		all[i] = goal(&tx.Policies[i])
	}
	return all
}

// locate asks the kernel where each SA of the transaction is. It reads every tuple that the SA could have and infers
// nothing from errors of earlier calls.
func locate(conn *xfrm.Conn, tx *Transaction) ([]place, error) {
	var reqs []xfrm.Request
	var found []func(xfrm.SAStatus) // by request
	places := make([]place, len(tx.Moves))
	look := func(i int, p place, id xfrm.SAID, mark xfrm.Mark, src xfrm.Address, reqid uint32) {
		reqs = append(reqs, xfrm.GetSAStatus(id, mark))
		found = append(found, func(s xfrm.SAStatus) {
			switch {
			case s.Src != src || s.Reqid != reqid || !tx.Moves[i].is(&s):
			case places[i] == nowhere:
				places[i] = p
			default:
				places[i] = twice
			}
		})
	}
	for i := range tx.Moves {
		m := &tx.Moves[i]
		look(i, there, m.There.Target(), m.There.TargetMark(), m.There.NewSrc, m.There.NewReqid)
		// If only attributes change that GETAE does not tell, there is no telling apart: the SA is there.
		if m.There.Target() != m.There.ID || m.There.NewSrc != m.Back.NewSrc || m.There.NewReqid != m.Back.NewReqid {
			look(i, back, m.There.ID, m.There.OldMark, m.Back.NewSrc, m.Back.NewReqid)
		}
		if m.Hop != nil {
			look(i, aside, *m.Hop, m.There.OldMark, m.Hop.Dst, m.Back.NewReqid)
		}
	}
	status, errs := conn.Statuses(reqs...)
	for j, err := range errs {
		switch {
		case err == nil:
			found[j](status[j])
		case !errors.Is(err, unix.ESRCH):
			return nil, fmt.Errorf("read SAs back: %w", err)
		}
	}
	return places, nil
}

// is reports whether the SA that was read is the move's. A tuple alone doesn't tell: where SAs take each other's
// place, another one may stand there. The time that an SA was added goes with it.
func (m *Move) is(s *xfrm.SAStatus) bool {
	return s.Current.AddTime == m.Added && s.Replay.Sent >= m.Sent && s.Replay.Received >= m.Received
}
