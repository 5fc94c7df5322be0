package xfrm

// Migration is XFRM_MSG_MIGRATE_STATE: struct xfrm_user_migrate_state and its attributes. It moves one SA, found by ID
// and OldMark, to new outer addresses with its keys, sequence numbers and lifetimes.
//
// The fields up to NewFamily are always explicit: the SA gets what they say, zero included. The pointers stand for
// attributes: nil inherits from the SA.
type Migration struct {
	ID             SAID
	NewDst, NewSrc Address
	OldMark        Mark // must be exactly the SA's: a wildcard can find another SA, and the new SA inherits it
	NewSel         Selector
	NewReqid       uint32
	Flags          uint32 // ClearOffload, UpdateH2HSelector
	NewFamily      Family

	Mark         *Mark
	Encap        *Encap // Type EncapNone removes it
	Offload      *Offload
	OutputMark   *Mark
	NATKeepalive *uint32 // seconds; needs encapsulation and an outbound SA
	MTimer       *uint32 // seconds; needs encapsulation and an SA that is not outbound
}

// Flags of Migration.
const (
	ClearOffload      = 1 // drop the hardware offload instead of inheriting it
	UpdateH2HSelector = 2 // derive a single-host selector from the new addresses; NewSel is ignored
)

// maxMigration is the size of a message with every attribute.
const maxMigration = sizeofMigrateState + 4 + sizeofMark + 4 + sizeofEncap + 4 + sizeofOffload + 4*8

// Target is what the SA's ID will be.
func (m *Migration) Target() SAID {
	return SAID{Dst: m.NewDst, SPI: m.ID.SPI, Family: m.NewFamily, Proto: m.ID.Proto}
}

// TargetMark is what the SA's mark will be.
func (m *Migration) TargetMark() Mark {
	if m.Mark != nil {
		return *m.Mark
	}
	return m.OldMark
}

// Request returns the message.
func (m *Migration) Request() Request {
	return Request{Type: MsgMigrateState, Payload: m.AppendTo(make([]byte, 0, maxMigration))}
}

// AppendTo appends the payload of the message.
func (m *Migration) AppendTo(b []byte) []byte {
	b = m.ID.AppendTo(b)
	b = append(b, m.NewDst[:]...)
	b = append(b, m.NewSrc[:]...)
	b = ne.AppendUint32(b, m.OldMark.Value)
	b = ne.AppendUint32(b, m.OldMark.Mask)
	b = m.NewSel.appendTo(b)
	b = ne.AppendUint32(b, m.NewReqid)
	b = ne.AppendUint32(b, m.Flags)
	b = ne.AppendUint16(b, uint16(m.NewFamily))
	b = append(b, 0, 0) // reserved, must be zero
	if m.Mark != nil {
		b = appendMark(b, *m.Mark)
	}
	if m.Encap != nil {
		b = m.Encap.appendAttr(b)
	}
	if m.Offload != nil {
		b = m.Offload.appendAttr(b)
	}
	if m.OutputMark != nil {
		b = appendAttr32(b, AttrSetMark, m.OutputMark.Value)
		b = appendAttr32(b, AttrSetMarkMask, m.OutputMark.Mask)
	}
	if m.NATKeepalive != nil {
		b = appendAttr32(b, AttrNATKeepalive, *m.NATKeepalive)
	}
	if m.MTimer != nil {
		b = appendAttr32(b, AttrMTimer, *m.MTimer)
	}
	return b
}

// DecodeMigration decodes the payload of a XFRM_MSG_MIGRATE_STATE message, be it a request or the notification that
// the group GroupMigrate gets after a success.
func DecodeMigration(b []byte) (m Migration, err error) {
	if len(b) < sizeofMigrateState {
		return m, shortOf("xfrm_user_migrate_state", len(b), sizeofMigrateState)
	}
	m.ID.decode(b)
	m.NewDst, m.NewSrc = Address(b[24:40]), Address(b[40:56])
	m.OldMark = Mark{ne.Uint32(b[56:]), ne.Uint32(b[60:])}
	m.NewSel.decode(b[64:])
	m.NewReqid, m.Flags = ne.Uint32(b[120:]), ne.Uint32(b[124:])
	m.NewFamily = Family(ne.Uint16(b[128:]))
	return m, eachAttr(b[sizeofMigrateState:], m.decodeAttr)
}

func (m *Migration) decodeAttr(typ uint16, b []byte) (err error) {
	switch typ {
	case AttrMark:
		m.Mark, err = ptr(attrMark(b))
	case AttrEncap:
		m.Encap, err = ptr(decodeEncap(b))
	case AttrOffloadDev:
		m.Offload, err = ptr(decodeOffload(b))
	case AttrSetMark:
		m.outputMark().Value, err = attr32("set-mark", b)
	case AttrSetMarkMask:
		m.outputMark().Mask, err = attr32("set-mark mask", b)
	case AttrNATKeepalive:
		m.NATKeepalive, err = ptr(attr32("NAT keepalive", b))
	case AttrMTimer:
		m.MTimer, err = ptr(attr32("mtimer", b))
	}
	return err
}

func (m *Migration) outputMark() *Mark {
	if m.OutputMark == nil {
		m.OutputMark = new(Mark)
	}
	return m.OutputMark
}

func ptr[T any](v T, err error) (*T, error) { return &v, err }

// probe is a migration of an SA that can't exist (SPI 1, protocol 0): how the kernel refuses it tells whether it knows
// the message. It must have a valid new family to get as far as looking for the SA.
var probe = Migration{ID: SAID{SPI: 1, Family: FamilyIPv4}, NewFamily: FamilyIPv4}
