package xfrm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// maxDumps is how often a dump is redone that the kernel says was interrupted. Netlink has a flag for that, but XFRM's
// dumps of Linux 7.3 never set it: what moves or is rewritten before the dump comes to it is missing without a sign.
// Whoever needs the tables as they were at one moment watches the groups meanwhile (package host does).
const maxDumps = 10

// ErrDumpInterrupted means that the table never held still for the length of a dump.
var ErrDumpInterrupted = fmt.Errorf("the table changed during each of %d dumps", maxDumps)

// SAs dumps the SAD, larval SAs included.
func (c *Conn) SAs() ([]SA, error) { return c.sas(0) }

func (c *Conn) sas(room int) ([]SA, error) {
	return dump(c, room, Request{Type: MsgGetSA}, MsgNewSA, func(sa *SA, b []byte) error { return sa.decode(b) })
}

// Policies dumps the SPD, main and sub-policies. Policies of sockets are left out: they belong to their processes.
func (c *Conn) Policies() ([]Policy, error) { return c.policies(0) }

func (c *Conn) policies(room int) ([]Policy, error) {
	var templates templateSlab
	all, err := dump(c, room, Request{Type: MsgGetPolicy}, MsgNewPolicy, func(p *Policy, b []byte) error { return p.decodeWith(&templates, b) })
	kept := all[:0]
	for i := range all {
		if !all[i].IsSocket() {
			kept = append(kept, all[i])
		}
	}
	return kept, err
}

// dump makes room for so many beforehand.
func dump[T any](c *Conn, room int, req Request, want uint16, decode func(*T, []byte) error) ([]T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]T, 0, room)
	op := msgName(req.Type)
	for range maxDumps {
		clear(all)
		all = all[:0]
		interrupted, err := c.dumpOnce(op, req, want, func(b []byte) error {
			if len(all) == cap(all) {
				// append would grow a large table by a quarter at a time and copy it many times over.
				all = slices.Grow(all, max(len(all), 64))
			}
			all = all[:len(all)+1]
			return decode(&all[len(all)-1], b)
		})
		if err != nil {
			return nil, err
		}
		if !interrupted {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", op, ErrDumpInterrupted)
}

func (c *Conn) dumpOnce(op string, req Request, want uint16, each func([]byte) error) (interrupted bool, err error) {
	c.seq++
	seq := c.seq
	if err := c.sock.Send(appendMessage(c.out[:0], req, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, seq)); err != nil {
		return false, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	}
	// Whatever goes wrong, the dump is read to its end: before that the kernel answers the next one on this socket
	// with EBUSY.
	var bad error
	for done := false; !done; {
		err := c.receive(func(m Message) error {
			if m.Seq != seq {
				return nil
			}
			interrupted = interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
			switch m.Type {
			case unix.NLMSG_DONE:
				done = true
				bad = cmp.Or(bad, dumpResult(op, m))
			case unix.NLMSG_ERROR:
				done = true
				bad = cmp.Or(bad, ackError(req.Type, m))
			case want:
				if bad == nil {
					bad = each(m.Payload)
				}
			}
			return nil
		})
		switch {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // a part of it was lost
			interrupted = true
		case errors.Is(err, unix.EMSGSIZE), errors.Is(err, errShort):
			bad = cmp.Or(bad, fmt.Errorf("dump with %s: %w", op, err))
		default:
			return false, fmt.Errorf("dump with %s: %w", op, cmp.Or(bad, err))
		}
	}
	return interrupted, bad
}

// dumpResult reads the number that ends a dump: 0, or a negative errno if it broke off.
func dumpResult(op string, m Message) error {
	if len(m.Payload) < 4 {
		return nil
	}
	if n := int32(ne.Uint32(m.Payload)); n < 0 {
		return &Error{Op: op, Errno: unix.Errno(-n)}
	}
	return nil
}
