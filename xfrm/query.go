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

// query sends requests that the kernel answers with one message of type want each, and an acknowledgement behind it.
func query[T any](c *Conn, reqs []Request, want uint16, decode func(*T, []byte) error) ([]T, []error) {
	all := make([]T, len(reqs))
	bad := make([]error, len(reqs))
	for i, r := range reqs {
		// Without this an answer lost before its acknowledgement would pass for one of zeros.
		bad[i] = fmt.Errorf("%s: %w", msgName(r.Type), ErrOutcomeUnknown)
	}
	errs := c.exchange(reqs, func(i int, m Message) error {
		if m.Type == want {
			bad[i] = decode(&all[i], m.Payload)
		}
		return nil
	})
	for i := range errs {
		if errs[i] == nil {
			errs[i] = bad[i]
		}
	}
	return all, errs
}
