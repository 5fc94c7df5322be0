package xfrm

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Multicast groups: enum xfrm_nlgroups.
const (
	GroupAcquire = 1 // an outgoing packet wants an SA that is not there
	GroupExpire  = 2
	GroupSA      = 3 // SAs added, updated, deleted, flushed; not migrated ones
	GroupPolicy  = 4
	GroupMigrate = 7 // MIGRATE and MIGRATE_STATE that succeeded
)

// Event is a notification: what other processes, or we, did to the SAD and SPD. Which of the pointers is set goes by
// the message's type.
type Event struct {
	Type uint16 // Msg...

	SA        *SA        // NEWSA, UPDSA, EXPIRE (without its optional parts), DELSA (what it was)
	ID        *SAID      // DELSA
	Policy    *Policy    // NEWPOLICY, UPDPOLICY, DELPOLICY, POLEXPIRE, ACQUIRE (the policy that the packet met)
	Migration *Migration // MIGRATE_STATE
	Hard      bool       // EXPIRE, POLEXPIRE: the hard limit, after which it is gone
}

// Monitor reads notifications. It is used by one goroutine; Close may come from another and ends Next.
type Monitor struct {
	sock Socket
	buf  []byte
	todo []Event
}

// DialMonitor subscribes to groups of the running kernel.
func DialMonitor(ns NetNS, groups ...uint32) (*Monitor, error) {
	s, err := dialKernel(ns, 1)
	if err != nil {
		return nil, err
	}
	m, err := NewMonitor(s, groups...)
	if err != nil {
		s.Close()
	}
	return m, err
}

// NewMonitor subscribes to groups on sock, which it closes with Close.
func NewMonitor(sock Socket, groups ...uint32) (*Monitor, error) {
	for _, g := range groups {
		switch err := sock.Join(g); {
		case errors.Is(err, unix.EPERM): // the groups of XFRM are for CAP_NET_ADMIN, as its requests are
			return nil, fmt.Errorf("%w: join XFRM multicast group %d: %w", ErrNotPermitted, g, err)
		case err != nil:
			return nil, fmt.Errorf("join XFRM multicast group %d: %w", g, err)
		}
	}
	return &Monitor{sock: sock, buf: make([]byte, maxDatagram)}, nil
}

// Close closes the socket.
func (m *Monitor) Close() error { return m.sock.Close() }

// Next returns the next notification, waiting for it until the given time; the zero time waits without limit. The
// error is os.ErrDeadlineExceeded if there was none, os.ErrClosed after Close, and ErrOverrun if some were lost: then
// go on reading, but read the SAD and SPD afresh.
func (m *Monitor) Next(until time.Time) (Event, error) {
	for len(m.todo) == 0 {
		n, err := m.sock.Receive(m.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			err = m.sock.Wait(until)
		case errors.Is(err, unix.ENOBUFS):
			err = ErrOverrun
		case err == nil:
			err = EachMessage(m.buf[:n], func(msg Message) error {
				e, err := decodeEvent(msg)
				if err == nil {
					m.todo = append(m.todo, e)
				}
				return err
			})
		}
		clear(m.buf[:n]) // NEWSA, UPDSA and DELSA carry keys
		if err != nil {
			return Event{}, err
		}
	}
	e := m.todo[0]
	m.todo = m.todo[1:]
	return e, nil
}

// decodeEvent decodes a notification. Types that it doesn't know give an Event with the type alone.
func decodeEvent(m Message) (Event, error) {
	e := Event{Type: m.Type}
	b := m.Payload
	var err error
	switch m.Type {
	case MsgNewSA, MsgUpdSA:
		e.SA, err = ptr(DecodeSA(b))
	case MsgExpire:
		if len(b) < sizeofExpire {
			return e, shortOf("xfrm_user_expire", len(b), sizeofExpire)
		}
		e.SA = new(SA)
		e.SA.decodeInfo(b)
		e.Hard = b[sizeofUsersaInfo] != 0
		err = eachAttr(b[sizeofExpire:], e.SA.decodeAttr)
	case MsgDelSA:
		e.ID, e.SA, err = decodeDeletedSA(b)
	case MsgNewPolicy, MsgUpdPolicy:
		e.Policy, err = ptr(DecodePolicy(b))
	case MsgDelPolicy:
		e.Policy, err = decodeDeletedPolicy(b)
	case MsgPolExpire:
		if len(b) < sizeofPolExpire {
			return e, shortOf("xfrm_user_polexpire", len(b), sizeofPolExpire)
		}
		e.Policy = new(Policy)
		e.Policy.decodeInfo(b)
		e.Hard = b[sizeofPolicyInfo] != 0
		err = eachAttr(b[sizeofPolExpire:], e.Policy.decodeAttr)
	case MsgAcquire:
		if len(b) < sizeofAcquire {
			return e, shortOf("xfrm_user_acquire", len(b), sizeofAcquire)
		}
		const policyAt = 24 + 16 + sizeofSelector // after struct xfrm_id, saddr and sel
		e.Policy = new(Policy)
		e.Policy.decodeInfo(b[policyAt:])
		err = eachAttr(b[sizeofAcquire:], e.Policy.decodeAttr)
	case MsgMigrateState:
		e.Migration, err = ptr(DecodeMigration(b))
	}
	return e, err
}

// In the notification of a deleted SA or policy the struct that it was stands in an attribute, among those that belong
// to it: XFRMA_SA and XFRMA_POLICY.
const (
	attrSA     = 6
	attrPolicy = 7
)

// decodeDeletedSA decodes struct xfrm_usersa_id, and the SA from the attributes.
func decodeDeletedSA(b []byte) (*SAID, *SA, error) {
	if len(b) < sizeofUsersaID {
		return nil, nil, shortOf("xfrm_usersa_id", len(b), sizeofUsersaID)
	}
	id, sa := new(SAID), &SA{CPU: AnyCPU}
	id.decode(b)
	sa.ID = *id
	err := eachAttr(b[sizeofUsersaID:], func(typ uint16, a []byte) error {
		if typ != attrSA {
			return sa.decodeAttr(typ, a)
		}
		if len(a) < sizeofUsersaInfo {
			return shortOf("xfrm_usersa_info", len(a), sizeofUsersaInfo)
		}
		sa.decodeInfo(a)
		return nil
	})
	return id, sa, err
}

// decodeDeletedPolicy decodes struct xfrm_userpolicy_id, which has the index or the selector that the policy was
// deleted by, and takes the rest from the policy in the attributes.
func decodeDeletedPolicy(b []byte) (*Policy, error) {
	if len(b) < sizeofPolicyID {
		return nil, shortOf("xfrm_userpolicy_id", len(b), sizeofPolicyID)
	}
	p := new(Policy)
	p.Sel.decode(b)
	p.Index = ne.Uint32(b[56:])
	p.Dir = Dir(b[60])
	err := eachAttr(b[sizeofPolicyID:], func(typ uint16, a []byte) error {
		if typ != attrPolicy {
			return p.decodeAttr(typ, a)
		}
		if len(a) < sizeofPolicyInfo {
			return shortOf("xfrm_userpolicy_info", len(a), sizeofPolicyInfo)
		}
		p.decodeInfo(a)
		return nil
	})
	return p, err
}
