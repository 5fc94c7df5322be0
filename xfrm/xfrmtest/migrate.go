package xfrmtest

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// move is struct xfrm_migrate: what a MIGRATE_STATE comes to once what it leaves out is taken from the SA.
type move struct {
	xfrm.Migration
	sel       rawSelector
	encap     *xfrm.Encap // nil: none
	offload   *xfrm.Offload
	smark     xfrm.Mark
	mtimer    uint32
	keepalive uint32
}

// migrate is XFRM_MSG_MIGRATE_STATE: xfrm_do_migrate_state, check by check.
func (k *Kernel) migrate(r *request) *refusal {
	if k.migration == MigrationUnconfigured {
		return refuse(unix.ENOPROTOOPT, "XFRM_MSG_MIGRATE_STATE is not supported")
	}
	um, err := xfrm.DecodeMigration(r.body[:sizeofMigrateState])
	if err != nil {
		return invalid("")
	}
	m := move{Migration: um, sel: rawSelector(r.body[64:])}
	if no := m.check(ne.Uint16(r.body[130:])); no != nil {
		return no
	}
	x := k.sad.lookup(m.OldMark.Key(), &m.ID)
	if x == nil {
		return refuse(unix.ESRCH, "Can not find state")
	}
	if no := m.inherit(x, &r.attrs); no != nil {
		return no
	}
	sameDst := m.NewFamily == m.ID.Family && sameAddress(m.NewDst, m.ID.Dst, m.ID.Family)
	if target := m.Target(); !sameDst && k.sad.lookup(m.TargetMark().Key(), &target) != nil {
		return refuse(unix.EEXIST, "New SA tuple already occupied")
	}
	c, no := k.clone(x, &m)
	if no != nil {
		return no
	}
	if x.larval {
		return refuse(unix.ESRCH, "State already deleted")
	}
	c.sa.Current, c.sa.Replay, c.window = x.sa.Current, x.sa.Replay, x.window.clone() // xfrm_migrate_sync
	k.remove(x)
	// xfrm_state_migrate_install: with the destination unchanged nothing is looked at, so that a change of the mark
	// alone can put an SA beside one that it collides with.
	if sameDst {
		k.insert(c)
	} else if !k.add(c) {
		return refuse(unix.EEXIST, "Failed to add migrated state") // both are gone; the check above leaves no way here
	}
	if !k.notify(r, xfrm.GroupMigrate, xfrm.MsgMigrateState, m.notification(r, c)) {
		return warned("Failed to send migration notification") // nobody listened
	}
	return nil
}

// check looks at the fixed struct alone.
func (m *move) check(reserved uint16) *refusal {
	const known = xfrm.ClearOffload | xfrm.UpdateH2HSelector
	switch {
	case m.ID.SPI == 0:
		return invalid("Invalid SPI 0x0")
	case reserved != 0:
		return invalid("Reserved field must be zero")
	case m.Flags&^known != 0:
		return invalid(fmt.Sprintf("Unknown flags: 0x%x", m.Flags&^known))
	}
	if no := checkFamily(m.NewFamily); no != nil {
		return no
	}
	if m.Flags&xfrm.UpdateH2HSelector == 0 {
		return checkPrefixes(m.sel.family(), &m.sel)
	}
	return nil
}

// inherit reads the attributes and fills in from x what they leave out.
func (m *move) inherit(x *state, a *attrs) *refusal {
	if m.Flags&xfrm.UpdateH2HSelector != 0 && !x.hostToHost() {
		return invalid("SA selector is not a single-host match for SA addresses")
	}
	if p := a[xfrm.AttrEncap]; p != nil {
		e := decodeEncap(p)
		m.Encap = &e
		if e.Type != xfrm.EncapNone {
			m.encap = &e
		}
		if e.Type != xfrm.EncapNone && e.Type != xfrm.EncapESPinUDP {
			return invalid("Unsupported encapsulation type")
		}
	} else if x.sa.Encap.Type != xfrm.EncapNone {
		m.encap = &x.sa.Encap
	}
	if a[xfrm.AttrMTimer] != nil {
		if no := checkMTimer(m.encap != nil, x.sa.Dir); no != nil {
			return no
		}
	}
	if a.u32(xfrm.AttrNATKeepalive, 0) != 0 && m.encap == nil {
		return invalid("NAT_KEEPALIVE_INTERVAL requires encapsulation")
	}
	if p := a[xfrm.AttrOffloadDev]; p != nil {
		o := decodeOffload(p)
		m.offload = &o
	} else if m.Flags&xfrm.ClearOffload == 0 && x.sa.Offload.IfIndex != 0 {
		m.offload = &x.sa.Offload
	}
	if a[xfrm.AttrMark] != nil {
		mark := a.mark()
		m.Mark = &mark
	}
	if m.smark = x.sa.OutputMark; a[xfrm.AttrSetMark] != nil {
		m.smark = a.outputMark()
	}
	m.mtimer = a.u32(xfrm.AttrMTimer, x.sa.MTimer)
	m.keepalive = a.u32(xfrm.AttrNATKeepalive, x.sa.NATKeepalive)
	return nil
}

// hostToHost reports whether the SA's selector is just its two addresses.
func (x *state) hostToHost() bool {
	f, bits := x.sa.ID.Family, uint8(32)
	if f == xfrm.FamilyIPv6 {
		bits = 128
	}
	return x.sa.Sel.SrcLen == bits && x.sa.Sel.DstLen == bits &&
		sameAddress(x.sa.Sel.Dst, x.sa.ID.Dst, f) && sameAddress(x.sa.Sel.Src, x.sa.Src, f)
}

// clone is xfrm_state_migrate_create: the SA at its new place, not yet in the table.
func (k *Kernel) clone(x *state, m *move) (*state, *refusal) {
	c := &state{sa: x.sa, sel: m.sel, seq: x.seq, alg: x.alg, coaddr: x.coaddr}
	c.sa.Stats = xfrm.Stats{} // not carried over
	if m.Flags&xfrm.UpdateH2HSelector != 0 {
		s := x.sa.Sel
		s.Family, s.Dst, s.Src = m.NewFamily, m.NewDst, m.NewSrc
		s.DstLen = uint8(m.NewFamily.Bits())
		s.SrcLen = s.DstLen
		c.sel = rawSelectorOf(&s)
	}
	c.sa.Sel = c.sel.decode()
	c.sa.Encap, c.sa.MTimer, c.sa.NATKeepalive = xfrm.Encap{}, 0, 0
	if m.encap != nil {
		c.sa.Encap, c.sa.MTimer, c.sa.NATKeepalive = *m.encap, m.mtimer, m.keepalive
	}
	c.sa.Mark = m.TargetMark()
	c.sa.OutputMark = m.smark
	c.sa.ID, c.sa.Src, c.sa.Reqid = m.Target(), m.NewSrc, m.NewReqid
	c.sa.Offload = xfrm.Offload{}
	if no := c.initialise(m.encap != nil); no != nil {
		return nil, invalid(no.reason) // whatever the errno was
	}
	if m.offload != nil {
		if no := k.offload(c, *m.offload); no != nil {
			reason := no.reason
			if reason == "" {
				reason = "State migration clone failed"
			}
			return nil, invalid(reason)
		}
	}
	return c, nil
}

// notification is build_migrate_state: the request as it was, and what the SA has now.
func (m *move) notification(r *request, c *state) []byte {
	b := append([]byte(nil), r.body[:sizeofMigrateState]...)
	copy(b[64:], c.sel[:])
	if m.Encap != nil { // as it was asked for, type 0 included
		b = appendAttr(b, xfrm.AttrEncap, encodeEncap(m.Encap))
	} else if m.encap != nil {
		b = appendAttr(b, xfrm.AttrEncap, encodeEncap(m.encap))
	}
	if m.offload != nil {
		b = appendAttr(b, xfrm.AttrOffloadDev, encodeOffload(m.offload))
	}
	if m.Mark != nil {
		b = appendAttr(b, xfrm.AttrMark, ne.AppendUint32(ne.AppendUint32(nil, m.Mark.Value), m.Mark.Mask))
	}
	b = appendOutputMark(b, m.smark)
	if c.sa.MTimer != 0 {
		b = appendAttr32(b, xfrm.AttrMTimer, c.sa.MTimer)
	}
	if c.sa.NATKeepalive != 0 {
		b = appendAttr32(b, xfrm.AttrNATKeepalive, c.sa.NATKeepalive)
	}
	if c.sa.Dir != xfrm.SADirUnset {
		b = appendAttr(b, xfrm.AttrSADir, []byte{byte(c.sa.Dir)})
	}
	return b
}
