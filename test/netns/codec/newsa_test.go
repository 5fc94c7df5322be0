//go:build lab

package codec

import (
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// newSA adds what this iproute2 can't: a per-CPU SA with a mapping timer, which only inbound SAs can have, or NAT
// keepalives, which only outbound ones can. change may alter struct xfrm_usersa_info.
func (n *netns) newSA(dir xfrm.SADir, change func(info []byte)) {
	n.t.Helper()
	b := make([]byte, 224)
	copy(b[56:], net.IPv4(203, 0, 113, 1).To4())
	b[74], b[75], b[76] = 0x30, 0x01, 50
	copy(b[80:], net.IPv4(192, 0, 2, 1).To4())
	for i := 96; i < 128; i++ { // no limits
		b[i] = 0xff
	}
	ne.PutUint32(b[208:], 9)
	ne.PutUint16(b[212:], 2)
	b[214] = 1 // tunnel
	if change != nil {
		change(b)
	}
	alg := make([]byte, 64+8+20)
	copy(alg, "rfc4106(gcm(aes))")
	ne.PutUint32(alg[64:], 160)
	ne.PutUint32(alg[68:], 128)
	b = append(b, attr(xfrm.AttrAlgAEAD, alg)...)
	encap := make([]byte, 24)
	ne.PutUint16(encap, 2)
	copy(encap[2:], []byte{4500 >> 8, 4500 & 0xff, 4500 >> 8, 4500 & 0xff})
	b = append(b, attr(xfrm.AttrEncap, encap)...)
	if dir == xfrm.SADirIn {
		b[215] = 32 // replay window, which outbound SAs must not have
		b = append(b, attr32(xfrm.AttrMTimer, 33)...)
	} else {
		b = append(b, attr32(xfrm.AttrNATKeepalive, 22)...)
	}
	b = append(b, attr(xfrm.AttrSADir, []byte{byte(dir)})...)
	b = append(b, attr32(xfrm.AttrPCPU, 0)...)
	n.do(xfrm.Request{Type: xfrm.MsgNewSA, Payload: b})
}

// TestSAOfEveryKindOfAttribute has what only a newer ip shows.
func TestSAOfEveryKindOfAttribute(t *testing.T) {
	n := newNetNS(t)
	n.newSA(xfrm.SADirIn, nil)
	n.newSA(xfrm.SADirOut, func(b []byte) { b[75]++ })
	sas := n.sas()
	slices.SortFunc(sas, func(a, b xfrm.SA) int { return int(a.ID.SPI) - int(b.ID.SPI) })
	in, out := sas[0], sas[1]
	if in.CPU != 0 || in.MTimer != 33 || in.NATKeepalive != 0 || in.Dir != xfrm.SADirIn || in.Encap.SPort != 4500 || in.Window != 32 {
		t.Errorf("got %+v, want CPU 0, mapping timer 33, in, port 4500, window 32", in)
	}
	if out.CPU != 0 || out.MTimer != 0 || out.NATKeepalive != 22 || out.Dir != xfrm.SADirOut || out.Encap.DPort != 4500 {
		t.Errorf("got %+v, want CPU 0, keepalive 22, out, port 4500", out)
	}
	for i := range sas {
		m := migrationOf(&sas[i], "192.0.2.9", "203.0.113.9")
		n.do(m.Request())
		sas[i].ID, sas[i].Src = m.Target(), m.NewSrc
	}
	got := n.sas()
	slices.SortFunc(got, func(a, b xfrm.SA) int { return int(a.ID.SPI) - int(b.ID.SPI) })
	for i := range got {
		if diff := diffSA(sas[i], got[i]); diff != "" {
			t.Errorf("after a migration: -want +got\n%s", diff)
		}
	}
}

// TestSAsAreWhatAnotherLibrarySays compares what both know.
func TestSAsAreWhatAnotherLibrarySays(t *testing.T) {
	n := newNetNS(t)
	n.addSAs()
	n.newSA(xfrm.SADirIn, nil)
	h, err := netlink.NewHandleAt(vnetns.NsHandle(n.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	theirs, err := h.XfrmStateList(netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Dst, Src, Proto, Mode        string
		SPI, Reqid, IfID             int
		Mark, OutputMark             xfrm.Mark
		DontEncapDSCP, MayWrap       bool // not ESN: their list leaves it out
		Dir, CPU                     int
		SoftBytes, HardTime, AddTime uint64
		SPort, DPort                 int
	}
	var got, want []facts
	for _, s := range theirs {
		f := facts{
			Dst: s.Dst.String(), Src: s.Src.String(), Proto: s.Proto.String(), Mode: s.Mode.String(),
			SPI: s.Spi, Reqid: s.Reqid, IfID: s.Ifid, DontEncapDSCP: s.DontEncapDSCP, MayWrap: s.OSeqMayWrap,
			Dir: int(s.SADir), CPU: -1, SoftBytes: s.Limits.ByteSoft, HardTime: s.Limits.TimeHard, AddTime: s.Statistics.AddTime,
		}
		if s.Mark != nil {
			f.Mark = xfrm.Mark{Value: s.Mark.Value, Mask: s.Mark.Mask}
		}
		if s.OutputMark != nil {
			f.OutputMark = xfrm.Mark{Value: s.OutputMark.Value, Mask: s.OutputMark.Mask}
		}
		if s.Pcpunum != nil {
			f.CPU = int(*s.Pcpunum)
		}
		if s.Encap != nil {
			f.SPort, f.DPort = s.Encap.SrcPort, s.Encap.DstPort
		}
		want = append(want, f)
	}
	for _, s := range n.sas() {
		got = append(got, facts{
			Dst: s.DstIP().String(), Src: s.SrcIP().String(), Proto: netlink.Proto(s.ID.Proto).String(), Mode: s.Mode.String(),
			SPI: int(s.ID.SPI), Reqid: int(s.Reqid), IfID: int(s.IfID), Mark: s.Mark, OutputMark: s.OutputMark,
			DontEncapDSCP: s.ExtraFlags&1 != 0, MayWrap: s.ExtraFlags&2 != 0,
			Dir: int(s.Dir), CPU: int(int32(s.CPU)), SoftBytes: s.Limits.SoftBytes, HardTime: s.Limits.HardAdd, AddTime: s.Current.AddTime,
			SPort: int(s.Encap.SPort), DPort: int(s.Encap.DPort),
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-vishvananda/netlink +package xfrm\n%s", diff)
	}
}
