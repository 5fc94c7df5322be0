package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// request is one message that got as far as its handler.
type request struct {
	sock  *Socket
	typ   uint16
	seq   uint32
	port  uint32 // nlmsg_pid as the sender wrote it, which notifications repeat
	body  []byte // the fixed struct and what follows it
	attrs attrs
}

// reply answers the sender.
func (r *request) reply(typ uint16, payload []byte) {
	r.sock.deliver(appendMessage(nil, typ, 0, r.seq, r.sock.port, payload))
}

// notify sends a notification of what the request did.
func (k *Kernel) notify(r *request, group uint32, typ uint16, payload []byte) bool {
	return k.multicast(group, appendMessage(nil, typ, 0, r.seq, r.port, payload))
}

// handlers is xfrm_dispatch, with the size of each message's struct (xfrm_msg_min).
var handlers = map[uint16]struct {
	fixed int
	do    func(*Kernel, *request) *refusal
}{
	xfrm.MsgNewSA:        {sizeofUsersaInfo, (*Kernel).addSA},
	xfrm.MsgUpdSA:        {sizeofUsersaInfo, (*Kernel).addSA},
	xfrm.MsgDelSA:        {sizeofUsersaID, (*Kernel).deleteSA},
	xfrm.MsgGetSA:        {sizeofUsersaID, (*Kernel).getSA},
	xfrm.MsgFlushSA:      {1, (*Kernel).flushSA},
	xfrm.MsgAllocSPI:     {sizeofSpiInfo, (*Kernel).allocSPI},
	xfrm.MsgGetAE:        {sizeofAeventID, (*Kernel).getAE},
	xfrm.MsgNewPolicy:    {sizeofPolicyInfo, (*Kernel).addPolicy},
	xfrm.MsgUpdPolicy:    {sizeofPolicyInfo, (*Kernel).addPolicy},
	xfrm.MsgDelPolicy:    {sizeofPolicyID, (*Kernel).getPolicy},
	xfrm.MsgGetPolicy:    {sizeofPolicyID, (*Kernel).getPolicy},
	xfrm.MsgFlushPolicy:  {0, (*Kernel).flushPolicy},
	xfrm.MsgGetSADInfo:   {4, (*Kernel).getSADInfo},
	xfrm.MsgGetSPDInfo:   {4, (*Kernel).getSPDInfo},
	xfrm.MsgNewSPDInfo:   {4, (*Kernel).setSPDInfo},
	xfrm.MsgMigrateState: {sizeofMigrateState, (*Kernel).migrate},
}

// dispatch is xfrm_user_rcv_msg.
func (s *Socket) dispatch(typ, flags uint16, msg []byte) *refusal {
	k := s.k
	top := uint16(msgMax)
	if k.migration == MigrationUnknown {
		top--
	}
	if typ > top {
		return invalid("")
	}
	if !k.privilege.Load() {
		return refuse(unix.EPERM, "")
	}
	if (typ == xfrm.MsgGetSA || typ == xfrm.MsgGetPolicy) && flags&unix.NLM_F_DUMP != 0 {
		return s.startDump(typ, msg)
	}
	h, ok := handlers[typ]
	if !ok {
		return invalid("") // the kernel has more messages than the model
	}
	r := &request{sock: s, typ: typ, seq: ne.Uint32(msg[8:]), port: ne.Uint32(msg[12:]), body: msg[sizeofHeader:]}
	var no *refusal
	if typ == xfrm.MsgNewSPDInfo { // its attributes are numbered differently
		if len(r.body) < h.fixed {
			return invalid("Invalid header length")
		}
		return h.do(k, r)
	}
	if r.attrs, no = parseAttrs(msg, h.fixed); no != nil {
		return no
	}
	if no = rejectUnused(typ, &r.attrs); no != nil {
		return no
	}
	return h.do(k, r)
}
