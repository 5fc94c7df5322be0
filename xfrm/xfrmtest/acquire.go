package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// acquire makes the larval SA that a packet without an SA leaves behind, and tells the group.
func (k *Kernel) acquire(p *xfrm.Policy, t *xfrm.Template, pkt *Packet) {
	pol := k.spd.byIndex[p.Index]
	x := k.newState()
	x.larval = true
	sport, dport := pkt.ports()
	f := pkt.family()
	x.sa.Sel = xfrm.Selector{
		Dst: xfrm.AddressFrom(pkt.Dst), Src: xfrm.AddressFrom(pkt.Src), DstLen: uint8(f.Bits()), SrcLen: uint8(f.Bits()),
		DPort: dport, SPort: sport, DPortMask: 0xffff, SPortMask: 0xffff, Family: f, Proto: pkt.Proto, IfIndex: pkt.IfIndex,
	}
	x.sel = rawSelectorOf(&x.sa.Sel)
	x.sa.ID = xfrm.SAID{Dst: t.Dst, SPI: t.SPI, Family: t.Family, Proto: t.Proto}
	x.sa.Src, x.sa.Mode, x.sa.Reqid = t.Src, t.Mode, t.Reqid
	if x.sa.ID.Dst.IsAny() {
		x.sa.ID.Dst = x.sa.Sel.Dst
	}
	if x.sa.Src.IsAny() {
		x.sa.Src = x.sa.Sel.Src
	}
	x.sa.Mark, x.sa.IfID, x.sa.Dir = pol.mark, pol.ifID, xfrm.SADirOut
	x.sa.Limits.HardAdd = acquireExpires
	k.acqSeq++
	x.seq = k.acqSeq
	k.insert(x)

	// struct xfrm_user_acquire
	b := appendID(nil, &x.sa.ID) // struct xfrm_id: no family
	clear(b[20:24])
	b[20] = byte(x.sa.ID.Proto)
	b = append(b, x.sa.Src[:]...)
	b = append(b, x.sel[:]...)
	b = pol.appendInfo(b)
	for _, v := range []uint32{t.AAlgos, t.EAlgos, t.CAlgos, x.seq} {
		b = ne.AppendUint32(b, v)
	}
	k.multicast(xfrm.GroupAcquire, appendMessage(nil, xfrm.MsgAcquire, 0, 0, 0, pol.appendAttrs(b, false)))
}
