package conformance

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var saCases = []testCase{
	{"everything that is set comes back", func(e *env) {
		sa := transport(hub, site, 0x100)
		sa.Mode = xfrm.ModeTunnel
		sa.Sel = xfrm.Selector{Family: xfrm.FamilyIPv6, DstLen: 64, SrcLen: 64, Proto: 17, DPort: 53, DPortMask: 0xffff, IfIndex: 0, User: 7}
		sa.Limits.SoftBytes, sa.Limits.HardPackets, sa.Limits.HardAdd = 1<<40, 1<<41, 86400
		sa.Reqid, sa.Flags, sa.ExtraFlags = 17, 1, 1
		sa.Replay.Sent = 99
		sa.Current = xfrm.Lifetime{Bytes: 1000, Packets: 10}
		sa.Mark, sa.OutputMark = xfrm.Mark{Value: 0x12, Mask: 0xff}, xfrm.Mark{Value: 3, Mask: 7}
		sa.IfID, sa.Dir = 42, xfrm.SADirOut
		sa.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 14500}
		sa.NATKeepalive, sa.TFCPad = 20, 100
		e.ok(xfrmtest.NewSA(sa, aes()))
		sa.HasAlgorithm = true
		equal(e, "SA", e.sas()[0], sa)
	}},
	{"an inbound SA with extended sequence numbers comes back", func(e *env) {
		sa := transport(site6, hub6, 0x101)
		sa.Flags, sa.Dir = 128, xfrm.SADirIn
		sa.Replay = xfrm.Replay{Received: 1<<32 + 5, Window: 128, ESN: true}
		sa.Encap, sa.MTimer = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}, 60
		sa.CPU = 0
		e.ok(xfrmtest.NewSA(sa, child().InAlg))
		sa.HasAlgorithm, sa.Sel.Family = true, xfrm.FamilyIPv6
		equal(e, "SA", e.sas()[0], sa)
	}},
	{"an empty selector stays empty only with the flag AF_UNSPEC", func(e *env) {
		sa := transport(hub, site, 0x102)
		e.ok(xfrmtest.NewSA(sa, aes()))
		sa.ID.SPI, sa.Flags, sa.Mode = 0x103, 32, xfrm.ModeTunnel
		e.ok(xfrmtest.NewSA(sa, aes()))
		got := e.sas()
		equal(e, "family with the flag", got[0].Sel.Family, xfrm.FamilyUnspec)
		equal(e, "family without", got[1].Sel.Family, xfrm.FamilyIPv4)
	}},
	{"the mark's value is kept within its mask", func(e *env) {
		sa := transport(hub, site, 0x104)
		sa.Mark = xfrm.Mark{Value: 0x1ff, Mask: 0x0f}
		e.ok(xfrmtest.NewSA(sa, aes()))
		equal(e, "mark", e.sas()[0].Mark, xfrm.Mark{Value: 0xf, Mask: 0xf})
	}},
	{"a dump lists the newest first", func(e *env) {
		for spi := range xfrm.SPI(5) {
			e.ok(xfrmtest.NewSA(transport(hub, site, 0x200+spi), aes()))
		}
		for i, sa := range e.sas() {
			equal(e, "SPI", sa.ID.SPI, 0x204-xfrm.SPI(i))
		}
	}},
	{"GETSA gives back the keys, in both forms of authentication", func(e *env) {
		sa := transport(hub, site, 0x105)
		e.ok(xfrmtest.NewSA(sa, aes()))
		answer := e.raw(xfrmtest.GetSA(sa.ID, sa.Mark))
		equal(e, "encryption keys", bytes.Count(answer, aes().Crypt.Key), 1)
		equal(e, "authentication keys", bytes.Count(answer, aes().Auth.Key), 2)
	}},
	{"UPDSA changes lifetimes, output mark and if_id of a live SA, and nothing else", func(e *env) {
		sa := transport(hub, site, 0x106)
		sa.Reqid = 1
		e.ok(xfrmtest.NewSA(sa, aes()))
		want := sa
		want.HasAlgorithm, want.Sel.Family = true, xfrm.FamilyIPv4
		sa.Reqid, sa.Src, sa.Sel.Proto, sa.Replay.Sent = 2, xfrm.AddressFrom(hubNew), 6, 77
		sa.Limits.HardAdd, sa.OutputMark, sa.IfID = 100, xfrm.Mark{Value: 1, Mask: 1}, 5
		e.ok(xfrmtest.UpdateSA(sa, aes()))
		want.Limits.HardAdd, want.OutputMark, want.IfID = 100, sa.OutputMark, 5
		equal(e, "SA", e.sas()[0], want)
	}},
	{"UPDSA turns a larval SA into a live one", func(e *env) {
		sa := transport(hub, site, 0)
		sa.Reqid = 3
		e.ok(xfrmtest.AllocSPI(sa, 0x300, 0x300))
		larval := e.sas()[0]
		equal(e, "larval", larval.Larval(), true)
		equal(e, "SPI", larval.ID.SPI, xfrm.SPI(0x300))
		equal(e, "lifetime", larval.Limits.HardAdd, 30)
		sa.ID.SPI = 0x300
		e.ok(xfrmtest.UpdateSA(sa, aes()))
		got := e.sas()
		equal(e, "SAs", len(got), 1)
		equal(e, "larval", got[0].Larval(), false)
	}},
	{"FLUSHSA by protocol", func(e *env) {
		ah := transport(hub, site, 0x108)
		ah.ID.Proto = xfrm.ProtoAH
		e.ok(xfrmtest.NewSA(transport(hub, site, 0x109), aes()), xfrmtest.NewSA(ah, xfrmtest.Algorithms{Auth: aes().Auth}))
		e.ok(xfrmtest.FlushSAs(xfrm.ProtoESP))
		equal(e, "SAs", len(e.sas()), 1)
		e.ok(xfrmtest.FlushSAs(xfrm.ProtoAny))
		equal(e, "SAs", len(e.sas()), 0)
		e.ok(xfrmtest.FlushSAs(0)) // nothing there is no error
	}},
	{"GETAE tells counters and addresses", func(e *env) {
		sa := transport(hub, site, 0x10a)
		sa.Reqid, sa.Mark, sa.IfID, sa.Dir, sa.Replay.Sent = 9, xfrm.Mark{Value: 1, Mask: 3}, 8, xfrm.SADirOut, 1234
		sa.Current = xfrm.Lifetime{Bytes: 5, Packets: 6, AddTime: 7, UseTime: 8}
		e.ok(xfrmtest.NewSA(sa, aes()))
		got, errs := e.c.Statuses(xfrm.GetSAStatus(sa.ID, sa.Mark))
		if errs[0] != nil {
			e.Fatal(errs[0])
		}
		equal(e, "status", got[0], xfrm.SAStatus{
			ID: sa.ID, Src: sa.Src, Reqid: 9, Mark: sa.Mark, IfID: 8, Dir: xfrm.SADirOut, CPU: xfrm.AnyCPU,
			Replay: xfrm.Replay{Sent: 1234}, Current: sa.Current,
		})
	}},
	{"an SA with a wildcard mark is found with any", func(e *env) {
		sa := transport(hub, site, 0x10b)
		e.ok(xfrmtest.NewSA(sa, aes()))
		_, errs := e.c.Statuses(xfrm.GetSAStatus(sa.ID, xfrm.Mark{Value: 7, Mask: 7}))
		if errs[0] != nil {
			e.Error(errs[0])
		}
		sa.Mark = xfrm.Mark{Value: 7, Mask: 7}
		e.refused(unix.EEXIST, "", xfrmtest.NewSA(sa, aes()))
	}},
	{"an SA with a mark stands beside one with a wildcard that came later, which hides it", func(e *env) {
		marked := transport(hub, site, 0x10c)
		marked.Mark, marked.Reqid = xfrm.Mark{Value: 7, Mask: 7}, 1
		wild := transport(hub, site, 0x10c)
		wild.Reqid = 2
		e.ok(xfrmtest.NewSA(marked, aes()), xfrmtest.NewSA(wild, aes()))
		got, errs := e.c.Statuses(xfrm.GetSAStatus(marked.ID, marked.Mark))
		if errs[0] != nil {
			e.Fatal(errs[0])
		}
		equal(e, "reqid of what is found", got[0].Reqid, 2)
	}},
	{"times are those of the clock", func(e *env) {
		e.ok(xfrmtest.NewSA(transport(hub, site, 0x10d), aes()))
		all, err := e.c.SAs()
		if err != nil {
			e.Fatal(err)
		}
		if d := time.Since(time.Unix(int64(all[0].Current.AddTime), 0)); d < -time.Minute || d > time.Minute {
			e.Errorf("was added %v ago", d)
		}
	}},
}
