package xfrm

import "fmt"

// Statuses reads the SAs of the given requests (GetSAStatus) back, several to a datagram. For an SA that is not there
// the error is ESRCH.
func (c *Conn) Statuses(reqs ...Request) ([]SAStatus, []error) {
	return query(c, reqs, MsgNewAE, func(s *SAStatus, b []byte) error { return s.decode(b) })
}

// PoliciesByIndex reads several policies (of each only what GetPolicy takes is used). The error is ENOENT for one that
// is not there.
func (c *Conn) PoliciesByIndex(ps []*Policy) ([]Policy, []error) {
	reqs := make([]Request, len(ps))
	for i, p := range ps {
		reqs[i] = GetPolicy(p)
	}
	return query(c, reqs, MsgNewPolicy, func(p *Policy, b []byte) error { return p.decode(b) })
}

// SPDInfo reads the counts and hash thresholds of the SPD.
func (c *Conn) SPDInfo() (SPDInfo, error) {
	req := Request{Type: MsgGetSPDInfo, Payload: make([]byte, 4)}
	all, errs := query(c, []Request{req}, MsgNewSPDInfo, func(s *SPDInfo, b []byte) error { return s.decode(b) })
	return all[0], errs[0]
}

// query sends requests that the kernel answers with one message of type want each.
func query[T any](c *Conn, reqs []Request, want uint16, decode func(*T, []byte) error) ([]T, []error) {
	all := make([]T, len(reqs))
	return all, c.exchange(reqs, func(i int, m Message) error {
		if m.Type != want {
			return unexpected(reqs[i].Type, m)
		}
		return decode(&all[i], m.Payload)
	})
}

// unexpected is what becomes of a request whose answer is of another kind: nothing is known.
func unexpected(typ uint16, m Message) error {
	return fmt.Errorf("%s: %w: it is a %s", msgName(typ), ErrOutcomeUnknown, msgName(m.Type))
}
