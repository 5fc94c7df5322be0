package review

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func callOf(c *plan.Call) Call {
	sa, m := c.SA, &c.Migration
	old := SA{
		Src: sa.SrcIP(), Dst: sa.DstIP(), Reqid: sa.Reqid, Mark: mark(sa.Mark), OutputMark: mark(sa.OutputMark),
		IfID: sa.IfID, Encap: encap(sa.Encap), Selector: sa.Sel.String(), NATKeepalive: sa.NATKeepalive, MTimer: sa.MTimer,
		Offload: offload(sa.Offload), Label: plan.SecurityContext(sa.Label),
	}
	if sa.CPU != xfrm.AnyCPU {
		old.CPU = &sa.CPU
	}
	rc := Call{
		Proto: sa.ID.Proto.String(), SPI: sa.ID.SPI.String(), Direction: c.Dir.String(), Mode: sa.Mode.String(),
		Old: old, New: changed(old, c, m),
	}
	if c.Hop != nil {
		rc.Hop = c.Hop.DstIP().String()
	}
	return rc
}

func changed(next SA, c *plan.Call, m *xfrm.Migration) SA {
	next.Src, next.Dst, next.Reqid, next.Mark = c.NewSrc(), c.NewDst(), m.NewReqid, mark(m.TargetMark())
	next.Selector = m.NewSel.String()
	if m.Flags&xfrm.UpdateH2HSelector != 0 {
		next.Selector = "host to host"
	}
	if m.Flags&xfrm.ClearOffload != 0 {
		next.Offload = ""
	}
	if m.Offload != nil {
		next.Offload = offload(*m.Offload)
	}
	if m.Encap != nil {
		next.Encap = encap(*m.Encap)
	}
	if m.OutputMark != nil {
		next.OutputMark = mark(*m.OutputMark)
	}
	if m.NATKeepalive != nil {
		next.NATKeepalive = *m.NATKeepalive
	}
	if m.MTimer != nil {
		next.MTimer = *m.MTimer
	}
	return next
}

func mark(m xfrm.Mark) string {
	if m == (xfrm.Mark{}) {
		return ""
	}
	return m.String()
}

func encap(e xfrm.Encap) string {
	if e.Type == xfrm.EncapNone {
		return "none"
	}
	return fmt.Sprintf("espinudp %d-%d", e.SPort, e.DPort)
}

func offload(o xfrm.Offload) string {
	if o.IfIndex == 0 {
		return ""
	}
	kind := "crypto"
	if o.Flags&xfrm.OffloadPacket != 0 {
		kind = "packet"
	}
	return fmt.Sprintf("%s on interface %d", kind, o.IfIndex)
}
