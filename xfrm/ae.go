package xfrm

// SAStatus is the answer to XFRM_MSG_GETAE: what changes over an SA's life, and no keys. It is how an SA is verified
// without making the kernel hand out its secrets.
type SAStatus struct {
	ID      SAID
	Src     Address
	Reqid   uint32
	Mark    Mark
	IfID    uint32
	Dir     SADir
	CPU     uint32 // AnyCPU if it isn't per-CPU
	Replay  Replay
	Current Lifetime
}

// Flags of struct xfrm_aevent_id that ask for the optional parts.
const (
	aeReplay   = 2 // XFRM_AE_RVAL
	aeLifetime = 4 // XFRM_AE_LVAL
)

// GetSAStatus is XFRM_MSG_GETAE for the SA that the kernel finds by id and mark.
func GetSAStatus(id SAID, mark Mark) Request {
	b := id.AppendTo(make([]byte, 0, sizeofAeventID+12))
	b = append(b, make([]byte, 16)...) // saddr: not used in requests
	b = ne.AppendUint32(b, aeReplay|aeLifetime)
	b = ne.AppendUint32(b, 0)
	if mark != (Mark{}) {
		b = appendMark(b, mark)
	}
	return Request{Type: MsgGetAE, Payload: b}
}

// DecodeSAStatus decodes the payload of a XFRM_MSG_NEWAE message: struct xfrm_aevent_id and attributes.
func DecodeSAStatus(b []byte) (s SAStatus, err error) {
	err = s.decode(b)
	return s, err
}

func (s *SAStatus) decode(b []byte) error {
	if len(b) < sizeofAeventID {
		return shortOf("xfrm_aevent_id", len(b), sizeofAeventID)
	}
	s.ID.decode(b)
	s.Src = Address(b[24:40])
	s.Reqid = ne.Uint32(b[44:])
	s.CPU = AnyCPU
	return eachAttr(b[sizeofAeventID:], s.decodeAttr)
}

func (s *SAStatus) decodeAttr(typ uint16, b []byte) (err error) {
	switch typ {
	case AttrReplayVal, AttrReplayESN:
		s.Replay, err = decodeReplay(typ, b)
	case AttrLtimeVal:
		if len(b) < sizeofLifetimeCur {
			return shortOf("xfrm_lifetime_cur", len(b), sizeofLifetimeCur)
		}
		s.Current.decode(b)
	case AttrMark:
		s.Mark, err = attrMark(b)
	case AttrIfID:
		s.IfID, err = attr32("if_id", b)
	case AttrPCPU:
		s.CPU, err = attr32("CPU", b)
	case AttrSADir:
		if len(b) < 1 {
			return shortOf("direction", len(b), 1)
		}
		s.Dir = SADir(b[0])
	}
	return err
}
