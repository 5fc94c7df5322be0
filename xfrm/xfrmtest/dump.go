package xfrmtest

import (
	"container/list"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// dump is a dump under way. Its place is a mark within the table's list, which is kept newest first: what is added
// meanwhile is missed, what is deleted before the mark gets there too.
type dump struct {
	typ    uint16 // of the messages sent
	seq    uint32
	table  *list.List
	mark   *list.Element // the next entry is behind it; nil once all were sent
	encode func(*list.Element) []byte
	at     uint64 // Kernel.changes when it began
	intr   bool
	filter func(*list.Element) bool
}

// Sizes of the pieces of a dump: netlink_dump takes what the socket was last read with, within these bounds.
const (
	leastPiece = 4096 - 320  // NLMSG_GOODSIZE
	mostPiece  = 32768 - 320 // SKB_WITH_OVERHEAD(32768)
)

// place is the value of a list element that is a dump's mark.
type place struct{}

// startDump is netlink_dump_start: the first piece is queued at once.
func (s *Socket) startDump(typ uint16, msg []byte) *refusal {
	if s.dump != nil {
		return refuse(unix.EBUSY, "")
	}
	k := s.k
	d := &dump{seq: ne.Uint32(msg[8:]), at: k.changes}
	if typ == xfrm.MsgGetPolicy {
		d.typ, d.table = xfrm.MsgNewPolicy, k.spd.all
		d.encode = func(e *list.Element) []byte { return e.Value.(*policy).encode() }
	} else {
		d.typ, d.table = xfrm.MsgNewSA, k.sad.all
		d.encode = func(e *list.Element) []byte { return e.Value.(*state).encode() }
		a, no := parseAttrs(msg, 0)
		if no != nil {
			return no
		}
		if p := a[attrProto]; p != nil {
			d.filter = func(e *list.Element) bool { return protoMatch(e.Value.(*state).sa.ID.Proto, xfrm.Proto(p[0])) }
		}
	}
	d.mark = d.table.PushFront(place{})
	s.dump = d
	s.continueDump()
	return quiet
}

// continueDump queues the next piece. What ends the dump comes alone.
func (s *Socket) continueDump() {
	d := s.dump
	d.intr = d.intr || s.k.dumpIntr && d.at != s.k.changes
	flags := uint16(unix.NLM_F_MULTI)
	if d.intr {
		flags |= unix.NLM_F_DUMP_INTR
	}
	var piece []byte
	room := min(max(s.most, leastPiece), mostPiece)
	for d.mark != nil {
		e := d.mark.Next()
		for e != nil && (e.Value == any(place{}) || d.filter != nil && !d.filter(e)) {
			e = e.Next()
		}
		if e == nil {
			d.table.Remove(d.mark)
			d.mark = nil
			break
		}
		payload := d.encode(e)
		if len(piece)+sizeofHeader+align4(len(payload)) > room {
			d.table.MoveBefore(d.mark, e)
			break
		}
		piece = appendMessage(piece, d.typ, flags, d.seq, s.port, payload)
		clear(payload)
		d.table.MoveAfter(d.mark, e)
	}
	if len(piece) == 0 {
		piece = appendMessage(nil, unix.NLMSG_DONE, flags, d.seq, s.port, make([]byte, 4))
		s.dump = nil
	}
	s.deliver(piece)
}

func (s *Socket) endDump() {
	if s.dump != nil && s.dump.mark != nil {
		s.dump.table.Remove(s.dump.mark)
	}
	s.dump = nil
}
