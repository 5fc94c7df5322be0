package executor

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// place is where an SA was found.
type place int

const (
	nowhere place = iota
	there
	back  // where it came from
	aside // at its hop
	twice // at more than one of them, which can't be
)

// locate asks where each SA is. It reads every tuple that the SA could have and infers nothing from errors of earlier
// calls. places is filled when the query has run.
func locate(q *query, moves []Move, places []place) {
	clear(places)
	for i := range moves {
		m := &moves[i]
		found := func(p place) {
			if places[i] == nowhere {
				places[i] = p
			} else {
				places[i] = twice
			}
		}
		if m.sameTuple() {
			// GETAE tells neither encapsulation nor marks nor selectors.
			q.ask(xfrm.GetSA(m.There.ID, m.There.OldMark), func(a *xfrm.Answer) {
				switch {
				case a == nil || a.SA.Current.AddTime != m.Added:
				case m.There.CarriedBy(a.SA):
					found(there)
				case m.Back.CarriedBy(a.SA):
					found(back)
				}
			})
			continue
		}
		look := func(p place, id xfrm.SAID, mark xfrm.Mark, src xfrm.Address, reqid uint32) {
			q.ask(xfrm.GetSAStatus(id, mark), func(a *xfrm.Answer) {
				if a != nil && a.Status.Src == src && a.Status.Reqid == reqid && sameMark(a.Status.Mark, mark) && m.is(a.Status) {
					found(p)
				}
			})
		}
		look(there, m.There.Target(), m.There.TargetMark(), m.There.NewSrc, m.There.NewReqid)
		look(back, m.There.ID, m.There.OldMark, m.Back.NewSrc, m.Back.NewReqid)
		if m.Hop != nil {
			look(aside, *m.Hop, m.There.OldMark, m.Hop.Dst, m.Back.NewReqid)
		}
	}
}

// sameMark compares marks as the kernel keeps them: of the value, what the mask covers.
func sameMark(a, b xfrm.Mark) bool { return a.Mask == b.Mask && a.Key() == b.Key() }

// sameTuple reports whether only what GETAE doesn't tell is changed.
func (m *Move) sameTuple() bool {
	return m.There.Target() == m.There.ID && m.There.NewSrc == m.Back.NewSrc && m.There.NewReqid == m.Back.NewReqid
}

// is reports whether the SA that was read is the move's. A tuple alone doesn't tell: where SAs take each other's
// place, another one may stand there. The time that an SA was added goes with it.
func (m *Move) is(s *xfrm.SAStatus) bool {
	return s.Current.AddTime == m.Added && s.Replay.Sent >= m.Sent && s.Replay.Received >= m.Received
}
