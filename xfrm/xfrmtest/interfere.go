package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// What other processes do to a kernel while a test runs. Notifications are sent as for their requests.

// do acts like a process that sends the requests and takes the first error for the outcome.
func (k *Kernel) do(reqs ...xfrm.Request) error {
	c := k.Dial()
	defer c.Close()
	for _, err := range c.Do(reqs...) {
		if err != nil {
			return err
		}
	}
	return nil
}

// FlushSAs deletes all SAs.
func (k *Kernel) FlushSAs() error { return k.do(FlushSAs(0)) }

// FlushPolicies deletes all policies of the main SPD, block policies too.
func (k *Kernel) FlushPolicies() error { return k.do(FlushPolicies()) }

// DeleteSA deletes an SA.
func (k *Kernel) DeleteSA(id xfrm.SAID, mark xfrm.Mark) error { return k.do(DeleteSA(id, mark)) }

// RewritePolicy replaces the policy that has p's Key, as its owner would.
func (k *Kernel) RewritePolicy(p xfrm.Policy) error { return k.do(xfrm.UpdatePolicy(&p)) }

// Rekey puts an SA with a new SPI, new keys and no traffic beside the one given, and deletes that if last is set, as an
// IKE daemon does before and after the deletion of the old Child SA is agreed. ESRCH tells that there was none.
func (k *Kernel) Rekey(id xfrm.SAID, mark xfrm.Mark, spi xfrm.SPI, last bool) error {
	k.mu.Lock()
	x := k.sad.lookup(mark.Key(), &id)
	var sa xfrm.SA
	if x != nil {
		sa = x.sa
	}
	k.mu.Unlock()
	if x == nil {
		return k.DeleteSA(id, mark) // for the very error
	}
	sa.ID.SPI, sa.Current, sa.Replay.Sent, sa.Replay.Received = spi, xfrm.Lifetime{}, 0, 0
	reqs := []xfrm.Request{NewSA(sa, testKeys(uint64(spi)))}
	if last {
		reqs = append(reqs, DeleteSA(id, mark))
	}
	return k.do(reqs...)
}

// MoveSA changes an SA's addresses, as an IKE daemon does for MOBIKE.
func (k *Kernel) MoveSA(id xfrm.SAID, mark xfrm.Mark, src, dst xfrm.Address, family xfrm.Family) error {
	m := xfrm.Migration{ID: id, NewDst: dst, NewSrc: src, OldMark: mark, NewFamily: family}
	k.mu.Lock()
	if x := k.sad.lookup(mark.Key(), &id); x != nil {
		m.NewSel, m.NewReqid = x.sa.Sel, x.sa.Reqid
	}
	k.mu.Unlock()
	return k.do(m.Request())
}

// AddSocketPolicy adds a policy of a socket, such as an IKE daemon's bypass: it appears in dumps, and nowhere else.
func (k *Kernel) AddSocketPolicy(p xfrm.Policy) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	body := xfrm.NewPolicy(&p).Payload
	msg := appendMessage(nil, xfrm.MsgNewPolicy, 0, 0, 0, body)
	a, no := parseAttrs(msg, sizeofPolicyInfo)
	var made *policy
	if no == nil {
		made, no = k.constructPolicy(&request{body: body, attrs: a})
	}
	if no != nil {
		return &xfrm.Error{Op: "IP_XFRM_POLICY", Errno: no.errno, Reason: no.reason}
	}
	made.socket = true
	k.link(made)
	made.index = k.spd.newIndex(3+uint32(p.Dir), 0)
	made.current = xfrm.Lifetime{AddTime: k.seconds()}
	k.register(made)
	return nil
}
