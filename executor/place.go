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
		m, at := &moves[i], &places[i]
		if m.sameTuple() {
			m.askAttributes(q, at)
			continue
		}
		m.ask(q, at, there, m.There.Target(), m.There.TargetMark(), m.There.NewSrc, m.There.NewReqid)
		m.askBack(q, at)
		if m.Hop != nil {
			m.ask(q, at, aside, *m.Hop, m.There.OldMark, m.Hop.Dst, m.Back.NewReqid)
		}
	}
}

// standing asks of each SA only whether it is where it came from. A target that is taken the kernel finds itself, before
// it moves anything.
func standing(q *query, moves []Move, places []place) {
	clear(places)
	for i := range moves {
		if m := &moves[i]; m.sameTuple() {
			m.askAttributes(q, &places[i])
		} else {
			m.askBack(q, &places[i])
		}
	}
}

func (m *Move) askBack(q *query, at *place) {
	m.ask(q, at, back, m.There.ID, m.There.OldMark, m.Back.NewSrc, m.Back.NewReqid)
}

func (m *Move) ask(q *query, at *place, p place, id xfrm.SAID, mark xfrm.Mark, src xfrm.Address, reqid uint32) {
	q.ask(xfrm.GetSAStatus(id, mark), func(a *xfrm.Answer) {
		if a != nil && a.Status.Src == src && a.Status.Reqid == reqid && sameMark(a.Status.Mark, mark) && m.is(a.Status) {
			at.found(p)
		}
	})
}

// askAttributes is for an SA that stays where it is: GETAE tells neither encapsulation nor marks nor selectors.
func (m *Move) askAttributes(q *query, at *place) {
	q.ask(xfrm.GetSA(m.There.ID, m.There.OldMark), func(a *xfrm.Answer) {
		switch {
		case a == nil || a.SA.Current.AddTime != m.Added:
		case m.There.CarriedBy(a.SA):
			at.found(there)
		case m.Back.CarriedBy(a.SA):
			at.found(back)
		}
	})
}

func (at *place) found(p place) {
	if *at == nowhere {
		*at = p
	} else {
		*at = twice
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
