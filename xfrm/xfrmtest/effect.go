package xfrmtest

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Effect is what a Fault does. Run comes first, whatever else is set.
type Effect struct {
	Run   func()      // something that happens meanwhile
	Kill  bool        // the process is dead: every call returns Killed
	Panic bool        // the process is dead, and this goroutine panics with Killed; see Survives
	Err   error       // the call fails with it; before a send nothing was delivered, after it everything was
	Lose  bool        // after a send: ENOBUFS, and of the answers only the first Keep datagrams
	Keep  int         // with Lose
	Lies  map[int]Lie // before a send, by number of the message in the datagram
}

// Lie makes the kernel appear to refuse a request.
type Lie struct {
	Truth  Truth
	Errno  unix.Errno
	Reason string // of the extended ACK
}

// Truth is what really becomes of a request that is lied about.
type Truth uint8

// The truths. Of a migration they mean: the old SA is there, the new one is, neither is.
const (
	NotDone  Truth = iota
	Done           // as it was asked for
	BothGone       // a migration's SA is deleted instead, which an install that fails after the delete comes to
)

// Survives runs f and reports whether it came to its end, and was not killed by a Fault.
func Survives(f func()) (alive bool) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); !ok || !errors.Is(err, Killed) {
				panic(r)
			}
		}
	}()
	f()
	return true
}

// rewrite replaces the requests that are lied about by what truly happens. The kernel acknowledges those that will appear
// to be refused.
func (s *faultySocket) rewrite(b []byte, lies map[int]Lie) []byte {
	var out []byte
	for i := 0; len(b) >= sizeofHeader; i++ {
		n := int(ne.Uint32(b))
		if n < sizeofHeader || n > len(b) {
			break
		}
		msg := b[:n]
		if l, ok := lies[i]; ok {
			typ, flags, seq, payload := ne.Uint16(msg[4:]), ne.Uint16(msg[6:]), ne.Uint32(msg[8:]), msg[sizeofHeader:]
			s.lies[seq] = l
			switch {
			case l.Truth == NotDone:
				typ, payload = unix.NLMSG_NOOP, nil
			case l.Truth == BothGone && typ == xfrm.MsgMigrateState:
				m, err := xfrm.DecodeMigration(payload)
				if err != nil {
					panic(err) // our own codec made it
				}
				r := DeleteSA(m.ID, m.OldMark)
				typ, payload = r.Type, r.Payload
			}
			if l.Errno != 0 {
				flags |= unix.NLM_F_ACK // refusals come unasked
			}
			out = appendMessage(out, typ, flags, seq, 0, payload)
		} else {
			out = append(out, msg...)
			out = append(out, make([]byte, align4(n)-n)...)
		}
		b = b[min(align4(n), len(b)):]
	}
	return out
}

// lie rewrites the acknowledgements in the n bytes of b that are lied about, and returns their new length.
func (s *faultySocket) lie(b []byte, n int) int {
	if len(s.lies) == 0 {
		return n
	}
	var out []byte
	for rest := b[:n]; len(rest) >= sizeofHeader; {
		size := min(align4(int(ne.Uint32(rest))), len(rest))
		msg := rest[:size]
		if size < sizeofHeader {
			break
		}
		l, ok := s.lies[ne.Uint32(msg[8:])]
		if ok && ne.Uint16(msg[4:]) == unix.NLMSG_ERROR && size >= 2*sizeofHeader+4 {
			delete(s.lies, ne.Uint32(msg[8:]))
			msg = ack(msg[sizeofHeader+4:], refuse(l.Errno, l.Reason), ne.Uint32(msg[12:]))
		}
		out = append(out, msg...)
		rest = rest[size:]
	}
	return copy(b, out)
}
