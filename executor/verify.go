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
	twice // at both addresses: one of them is not ours
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

// locate asks the kernel where each SA of the transaction is. It reads both tuples and infers nothing from errors of
// earlier calls.
func locate(conn *xfrm.Conn, tx *Transaction) ([]place, error) {
	reqs := make([]xfrm.Request, 0, 2*len(tx.Moves))
	for i := range tx.Moves {
		m := &tx.Moves[i]
		reqs = append(reqs,
			xfrm.GetSAStatus(m.There.Target(), m.There.TargetMark()),
			xfrm.GetSAStatus(m.There.ID, m.There.OldMark))
	}
	status, errs := conn.Statuses(reqs...)
	for _, err := range errs {
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("read SAs back: %w", err)
		}
	}
	places := make([]place, len(tx.Moves))
	for i := range tx.Moves {
		m := &tx.Moves[i]
		at := func(j int, src xfrm.Address, reqid uint32) bool {
			return errs[j] == nil && status[j].Src == src && status[j].Reqid == reqid && status[j].Replay.Sent >= m.Sent
		}
		isThere := at(2*i, m.There.NewSrc, m.There.NewReqid)
		isBack := at(2*i+1, m.Back.NewSrc, m.Back.NewReqid)
		if m.There.Target() == m.There.ID && isThere { // only attributes that GETAE doesn't tell may differ
			isBack = false
		}
		switch {
		case isThere && isBack:
			places[i] = twice
		case isThere:
			places[i] = there
		case isBack:
			places[i] = back
		}
	}
	return places, nil
}
