package xfrm

import (
	"reflect"
	"slices"
	"testing"
)

// TestEventsHaveWhatTheKernelSendsWithThem has, for each type, a message laid out as net/xfrm/xfrm_user.c does it.
func TestEventsHaveWhatTheKernelSendsWithThem(t *testing.T) {
	mark := Mark{5, 7}
	marked := appendAttr32(appendMark(nil, mark), AttrIfID, 6)
	cpu := appendAttr32(nil, AttrPCPU, 3)
	dir := appendAttr(nil, AttrSADir, []byte{2})
	sa := &SA{ID: SAID{SPI: 1}, Mark: mark, IfID: 6, CPU: 3, Dir: SADirOut}
	tmpl := Template{Dst: addr, Proto: ProtoESP, Reqid: 4}
	pol := Policy{Index: 9, Dir: DirOut, Templates: []Template{tmpl}, Mark: mark, IfID: 6, hasType: true}
	polAttrs := pol.AppendTo(nil)[sizeofPolicyInfo:]
	polInfo := pol.AppendTo(nil)[:sizeofPolicyInfo]
	migration := Migration{ID: said, NewDst: addr, NewFamily: FamilyIPv6, Mark: &mark}

	for _, c := range []struct {
		name    string
		typ     uint16
		payload []byte
		want    Event
	}{
		{"added SA", MsgNewSA, slices.Concat(saPayload(1), marked, cpu, dir), Event{SA: sa}},
		{"updated SA", MsgUpdSA, slices.Concat(saPayload(1), marked, cpu, dir), Event{SA: sa}},
		{"soft expiry", MsgExpire, slices.Concat(saPayload(1), make([]byte, 8), marked, cpu, dir), Event{SA: sa}},
		{"hard expiry", MsgExpire, slices.Concat(saPayload(1), []byte{1, 0, 0, 0, 0, 0, 0, 0}, marked, cpu, dir), Event{SA: sa, Hard: true}},
		{
			"deleted SA", MsgDelSA,
			slices.Concat(said.AppendTo(nil), appendAttr(nil, attrSA, saPayload(1)), marked, cpu, dir),
			Event{ID: &said, SA: sa},
		},
		{"added policy", MsgNewPolicy, pol.AppendTo(nil), Event{Policy: &pol}},
		{"updated policy", MsgUpdPolicy, pol.AppendTo(nil), Event{Policy: &pol}},
		{
			"policy deleted by index", MsgDelPolicy,
			slices.Concat(make([]byte, 56), b32(9), []byte{1, 0, 0, 0}, appendAttr(nil, attrPolicy, polInfo), polAttrs),
			Event{Policy: &pol},
		},
		{"expired policy", MsgPolExpire, slices.Concat(polInfo, []byte{1, 0, 0, 0, 0, 0, 0, 0}, polAttrs), Event{Policy: &pol, Hard: true}},
		{
			"acquire", MsgAcquire,
			slices.Concat(make([]byte, 24+16+56), polInfo, make([]byte, 16), polAttrs),
			Event{Policy: &pol},
		},
		{"migration", MsgMigrateState, migration.AppendTo(nil), Event{Migration: &migration}},
		{"flushed SAD", MsgFlushSA, []byte{0}, Event{}},
		{"flushed SPD", MsgFlushPolicy, nil, Event{}},
		{"legacy migration", MsgMigrate, make([]byte, 64), Event{}},
		{"unknown type", 0x7f, []byte{1, 2, 3}, Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Type = c.typ
			got, err := decodeEvent(Message{Type: c.typ, Payload: c.payload})
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v\ngot  %+v\nwant %+v", err, show(got), show(c.want))
			}
		})
	}
}

// show is an Event with its pointers followed, for messages.
func show(e Event) (s struct {
	SA        SA
	ID        SAID
	Policy    Policy
	Migration Migration
	Hard      bool
}) {
	if e.SA != nil {
		s.SA = *e.SA
	}
	if e.ID != nil {
		s.ID = *e.ID
	}
	if e.Policy != nil {
		s.Policy = *e.Policy
	}
	if e.Migration != nil {
		s.Migration = *e.Migration
	}
	s.Hard = e.Hard
	return s
}
