package xfrm

// Answer is what the kernel answers a request that reads. The field that goes with the request is set.
type Answer struct {
	Status *SAStatus // of GetSAStatus
	SA     *SA       // of GetSA
	Policy *Policy   // of GetPolicy and GetPolicyByKey
}

// Read sends requests that read, of several kinds in one datagram where Statuses and PoliciesByIndex take one each. The
// error is ESRCH for an SA and ENOENT for a policy that is not there.
func (c *Conn) Read(reqs ...Request) ([]Answer, []error) {
	all := make([]Answer, len(reqs))
	return all, c.exchange(reqs, func(i int, m Message) (err error) {
		switch m.Type {
		case MsgNewAE:
			all[i].Status, err = ptr(DecodeSAStatus(m.Payload))
		case MsgNewSA:
			all[i].SA, err = ptr(DecodeSA(m.Payload))
		case MsgNewPolicy:
			all[i].Policy, err = ptr(DecodePolicy(m.Payload))
		default:
			err = unexpected(reqs[i].Type, m)
		}
		return err
	})
}

// GetSA is XFRM_MSG_GETSA for the SA that the kernel finds by id and mark. The answer has its keys, which are neither
// decoded nor kept; GetSAStatus does without them, and is the better choice where it tells enough.
func GetSA(id SAID, mark Mark) Request {
	b := id.AppendTo(make([]byte, 0, sizeofUsersaID+12))
	if mark != (Mark{}) {
		b = appendMark(b, mark)
	}
	return Request{Type: MsgGetSA, Payload: b}
}

// GetPolicyByKey is XFRM_MSG_GETPOLICY for the policy that has p's Key, whatever its index.
func GetPolicyByKey(p *Policy) Request {
	b := p.Sel.appendTo(make([]byte, 0, 128))
	byKey := *p
	byKey.Index = 0
	b = byKey.appendIDTo(b)
	if p.Label != "" {
		b = appendAttr(b, AttrSecCtx, []byte(p.Label))
	}
	return Request{Type: MsgGetPolicy, Payload: b}
}
