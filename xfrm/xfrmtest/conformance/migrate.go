package conformance

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// moveTo is the migration of an SA to new addresses with everything else as it is.
func moveTo(sa *xfrm.SA, src, dst netip.Addr) xfrm.Migration {
	return xfrm.Migration{
		ID: sa.ID, NewSrc: xfrm.AddressFrom(src), NewDst: xfrm.AddressFrom(dst), OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid,
		NewFamily: xfrm.FamilyOf(dst),
	}
}

// full is an outbound SA with all that a migration inherits or carries over.
func full() xfrm.SA {
	sa := transport(hub, site, 0x500)
	sa.Mode, sa.Flags, sa.Reqid, sa.Dir, sa.IfID = xfrm.ModeTunnel, 32, 17, xfrm.SADirOut, 4
	sa.Replay.Sent, sa.Current, sa.Limits.HardAdd = 1000, xfrm.Lifetime{Bytes: 10, Packets: 11}, 3600
	sa.Mark, sa.OutputMark = xfrm.Mark{Value: 5, Mask: 0xff}, xfrm.Mark{Value: 6, Mask: 0xf}
	sa.Encap, sa.NATKeepalive = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}, 20
	sa.ExtraFlags, sa.TFCPad = 1, 64
	return sa
}

// migrated adds sa, migrates it and compares what the SAD has with want.
func migrated(name string, sa xfrm.SA, change func(*xfrm.Migration), want func(*xfrm.SA)) testCase {
	return testCase{name, func(e *env) {
		e.ok(xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hubNew, siteNew)
		if change != nil {
			change(&m)
		}
		e.ok(m.Request())
		all := e.sas()
		equal(e, "SAs", len(all), 1)
		w := sa
		w.HasAlgorithm = true
		w.ID, w.Src, w.Reqid, w.Sel, w.Mark = m.Target(), m.NewSrc, m.NewReqid, m.NewSel, m.TargetMark()
		if want != nil {
			want(&w)
		}
		equal(e, "SA", all[0], w)
	}}
}

var migrateCases = []testCase{
	migrated("what is left out is inherited, counters are carried over", full(), nil, nil),
	migrated("to another family", full(), func(m *xfrm.Migration) {
		m.NewFamily, m.NewSrc, m.NewDst = xfrm.FamilyIPv6, xfrm.AddressFrom(hub6), xfrm.AddressFrom(site6)
	}, nil),
	migrated("reqid and selector are taken as they are, zero included", full(), func(m *xfrm.Migration) {
		m.NewReqid, m.NewSel = 0, xfrm.Selector{Family: xfrm.FamilyIPv6, SrcLen: 64, User: 3}
	}, nil),
	migrated("the source alone", full(), func(m *xfrm.Migration) { m.NewDst = xfrm.AddressFrom(site) }, nil),
	migrated("to where it is", full(), func(m *xfrm.Migration) {
		m.NewDst, m.NewSrc = xfrm.AddressFrom(site), xfrm.AddressFrom(hub)
	}, nil),
	migrated("encapsulation removed, and what needs it", full(), func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{} },
		func(sa *xfrm.SA) { sa.Encap, sa.NATKeepalive = xfrm.Encap{}, 0 }),
	migrated("other ports", full(), func(m *xfrm.Migration) {
		m.Encap = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 1, DPort: 2, OA: xfrm.AddressFrom(hub)}
	}, func(sa *xfrm.SA) {
		sa.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 1, DPort: 2, OA: xfrm.AddressFrom(hub)}
	}),
	migrated("encapsulation and keepalive added", func() xfrm.SA {
		sa := full()
		sa.Encap, sa.NATKeepalive = xfrm.Encap{}, 0
		return sa
	}(), func(m *xfrm.Migration) {
		m.Encap, m.NATKeepalive = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}, ptr(30)
	}, func(sa *xfrm.SA) {
		sa.Encap, sa.NATKeepalive = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4500}, 30
	}),
	migrated("keepalive off", full(), func(m *xfrm.Migration) { m.NATKeepalive = ptr(0) }, func(sa *xfrm.SA) { sa.NATKeepalive = 0 }),
	migrated("output mark", full(), func(m *xfrm.Migration) { m.OutputMark = &xfrm.Mark{Value: 1, Mask: 3} },
		func(sa *xfrm.SA) { sa.OutputMark = xfrm.Mark{Value: 1, Mask: 3} }),
	migrated("output mark removed", full(), func(m *xfrm.Migration) { m.OutputMark = &xfrm.Mark{} },
		func(sa *xfrm.SA) { sa.OutputMark = xfrm.Mark{} }),
	migrated("mark", full(), func(m *xfrm.Migration) { m.Mark = &xfrm.Mark{Value: 0xff, Mask: 0xf} },
		func(sa *xfrm.SA) { sa.Mark = xfrm.Mark{Value: 0xf, Mask: 0xf} }),
	migrated("the SA gets the mark that it was found by, not the one it had", full(), func(m *xfrm.Migration) { m.OldMark = xfrm.Mark{Value: 5, Mask: 5} },
		func(sa *xfrm.SA) { sa.Mark = xfrm.Mark{Value: 5, Mask: 5} }),
	migrated("mapping timer of an inbound SA", func() xfrm.SA {
		sa := full()
		sa.Dir, sa.NATKeepalive, sa.MTimer, sa.ExtraFlags, sa.Window = xfrm.SADirIn, 0, 10, 0, 32
		sa.Replay = xfrm.Replay{Sent: 3, Received: 4}
		return sa
	}(), func(m *xfrm.Migration) { m.MTimer = ptr(60) }, func(sa *xfrm.SA) { sa.MTimer = 60 }),
	migrated("extended sequence numbers and their window", func() xfrm.SA {
		sa := full()
		sa.Dir, sa.NATKeepalive, sa.ExtraFlags, sa.Flags = xfrm.SADirIn, 0, 0, 32|128
		sa.Replay = xfrm.Replay{Received: 5<<32 + 7, Window: 256, ESN: true}
		return sa
	}(), nil, nil),
	migrated("per-CPU number", func() xfrm.SA { sa := full(); sa.CPU = 0; return sa }(), nil, nil),
	migrated("host-to-host selector", func() xfrm.SA {
		sa := transport(hub, site, 0x501)
		sa.Sel = xfrm.SelectorFor(netip.PrefixFrom(hub, 32), netip.PrefixFrom(site, 32))
		sa.Sel.Proto, sa.Sel.User = 17, 4
		return sa
	}(), func(m *xfrm.Migration) { m.Flags, m.NewSel = xfrm.UpdateH2HSelector, xfrm.Selector{DstLen: 255} }, func(sa *xfrm.SA) {
		sa.Sel = xfrm.SelectorFor(netip.PrefixFrom(hubNew, 32), netip.PrefixFrom(siteNew, 32))
		sa.Sel.Proto, sa.Sel.User = 17, 4
	}),
	{"an SA at the new place is left alone, and the old one too", func(e *env) {
		sa := transport(hub, site, 0x502)
		there := transport(hub, siteNew, 0x502)
		e.ok(xfrmtest.NewSA(there, aes()), xfrmtest.NewSA(sa, aes()))
		before := e.sas()
		m := moveTo(&sa, hub, siteNew)
		e.refused(unix.EEXIST, "New SA tuple already occupied", m.Request())
		after := e.sas()
		for i := range before {
			equal(e, "SA", after[i], before[i])
		}
	}},
	{"the mark is part of the place", func(e *env) {
		sa := transport(hub, site, 0x503)
		there := transport(hub, siteNew, 0x503)
		there.Mark = xfrm.Mark{Value: 1, Mask: 1}
		e.ok(xfrmtest.NewSA(there, aes()), xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hub, siteNew)
		m.Mark = &xfrm.Mark{Value: 3, Mask: 3}
		e.refused(unix.EEXIST, "New SA tuple already occupied", m.Request())
		m.Mark = &xfrm.Mark{Value: 2, Mask: 3}
		e.ok(m.Request())
		equal(e, "SAs", len(e.sas()), 2)
	}},
	{"a wildcard mark moves whatever SA is found first", func(e *env) {
		marked := transport(hub, site, 0x504)
		marked.Mark, marked.Reqid = xfrm.Mark{Value: 0, Mask: 1}, 1
		wild := transport(hub, site, 0x504)
		wild.Mark, wild.Reqid = xfrm.Mark{}, 2
		e.ok(xfrmtest.NewSA(wild, aes()))
		e.refused(unix.EEXIST, "", xfrmtest.NewSA(marked, aes()))
		e.ok(xfrmtest.DeleteSA(wild.ID, wild.Mark), xfrmtest.NewSA(marked, aes()))
		m := moveTo(&wild, hub, siteNew)
		e.ok(m.Request())
		got := e.sas()[0]
		equal(e, "mark", got.Mark, xfrm.Mark{}) // the SA had another
		equal(e, "reqid", got.Reqid, 2)
	}},
	{"a change of the mark alone can put two SAs in one place", func(e *env) {
		one, two := transport(hub, site, 0x505), transport(hub, site, 0x505)
		one.Mark, two.Mark = xfrm.Mark{Value: 1, Mask: 3}, xfrm.Mark{Value: 2, Mask: 3}
		e.ok(xfrmtest.NewSA(one, aes()), xfrmtest.NewSA(two, aes()))
		m := moveTo(&one, hub, site)
		m.Mark = &two.Mark
		e.ok(m.Request())
		all := e.sas()
		equal(e, "SAs", len(all), 2)
		equal(e, "mark", all[0].Mark, all[1].Mark)
	}},
	{"there and back", func(e *env) {
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		before := e.sas()[0]
		m := moveTo(&sa, hubNew, siteNew)
		e.ok(m.Request())
		moved := e.sas()[0]
		m = moveTo(&moved, hub, site)
		e.ok(m.Request())
		equal(e, "SA", e.sas()[0], before)
	}},
	{"support is told without touching anything", func(e *env) {
		if err := e.c.MigrateSupported(); err != nil {
			e.Error(err)
		}
	}},
}

func ptr(v uint32) *uint32 { return &v }

// migrateError makes a case of a migration of full() that is refused and leaves the SA as it was.
func migrateError(name string, errno unix.Errno, reason string, change func(*xfrm.Migration)) testCase {
	return testCase{name, func(e *env) {
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		before := e.sas()[0]
		m := moveTo(&sa, hubNew, siteNew)
		change(&m)
		e.refused(errno, reason, m.Request())
		equal(e, "SA", e.sas()[0], before)
	}}
}

var migrateErrorCases = []testCase{
	migrateError("SPI 0", unix.EINVAL, "Invalid SPI 0x0", func(m *xfrm.Migration) { m.ID.SPI = 0 }),
	migrateError("flags", unix.EINVAL, "Unknown flags: 0xc", func(m *xfrm.Migration) { m.Flags = 15 }),
	migrateError("no family", unix.EINVAL, "Invalid address family", func(m *xfrm.Migration) { m.NewFamily = 0 }),
	migrateError("selector's family", unix.EINVAL, "Invalid address family in selector", func(m *xfrm.Migration) { m.NewSel.Family = 7 }),
	migrateError("prefix", unix.EINVAL, "Invalid prefix length in selector (must be <= 32 for IPv4)",
		func(m *xfrm.Migration) { m.NewSel.Family, m.NewSel.DstLen = xfrm.FamilyIPv4, 33 }),
	migrateError("SPI that is not there", unix.ESRCH, "Can not find state", func(m *xfrm.Migration) { m.ID.SPI++ }),
	migrateError("mark that is not there", unix.ESRCH, "Can not find state", func(m *xfrm.Migration) { m.OldMark.Value++ }),
	migrateError("destination that is not there", unix.ESRCH, "Can not find state", func(m *xfrm.Migration) { m.ID.Dst[0]++ }),
	migrateError("protocol that is not there", unix.ESRCH, "Can not find state", func(m *xfrm.Migration) { m.ID.Proto = 0 }),
	migrateError("not host to host", unix.EINVAL, "SA selector is not a single-host match for SA addresses",
		func(m *xfrm.Migration) { m.Flags = xfrm.UpdateH2HSelector }),
	migrateError("TCP encapsulation", unix.EINVAL, "Unsupported encapsulation type", func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{Type: 7} }),
	migrateError("keepalive without encapsulation", unix.EINVAL, "NAT_KEEPALIVE_INTERVAL requires encapsulation",
		func(m *xfrm.Migration) { m.Encap, m.NATKeepalive = &xfrm.Encap{}, ptr(20) }),
	migrateError("mapping timer of an output SA", unix.EINVAL, "MTIMER_THRESH should not be set on output SA", func(m *xfrm.Migration) { m.MTimer = ptr(5) }),
	migrateError("mapping timer without encapsulation", unix.EINVAL, "MTIMER_THRESH requires encapsulation",
		func(m *xfrm.Migration) { m.Encap, m.MTimer = &xfrm.Encap{}, ptr(5) }),
	migrateError("offload with flags that are none", unix.EINVAL, "Unrecognized flags in offload request",
		func(m *xfrm.Migration) { m.Offload = &xfrm.Offload{IfIndex: 1, Flags: 0x80} }),
	migrateError("offload in the other direction", unix.EINVAL, "Mismatched SA and offload direction",
		func(m *xfrm.Migration) { m.Offload = &xfrm.Offload{IfIndex: 1, Flags: xfrm.OffloadInbound} }),
	{"attributes that don't belong, and a reserved field", func(e *env) {
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hubNew, siteNew)
		for _, typ := range []byte{xfrm.AttrIfID, xfrm.AttrLastUsed} {
			e.refused(unix.EINVAL, "Unsupported attribute in XFRM_MSG_MIGRATE_STATE", edit(m.Request(),
				func(b []byte) []byte { return append(b, 12, 0, typ, 0, 1, 0, 0, 0, 0, 0, 0, 0) }))
		}
		e.refused(unix.EINVAL, "Reserved field must be zero", edit(m.Request(), func(b []byte) []byte { b[130] = 1; return b }))
		e.refused(unix.EINVAL, "Invalid header length", edit(m.Request(), func(b []byte) []byte { return b[:131] }))
	}},
	{"a keepalive that the SA inherits on the way to a tunnel that can't have one", func(e *env) {
		sa := full()
		sa.Dir, sa.NATKeepalive = xfrm.SADirUnset, 0
		e.ok(xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hubNew, siteNew)
		m.NATKeepalive = ptr(20)
		e.refused(unix.EINVAL, "NAT keepalive is only supported for outbound SAs", m.Request())
	}},
	{"transport mode to another family", func(e *env) {
		sa := transport(hub, site, 0x506)
		e.ok(xfrmtest.NewSA(sa, aes()))
		sa = e.sas()[0]
		m := moveTo(&sa, hub6, site6)
		e.refused(unix.EINVAL, "Only tunnel modes can accommodate a change of family", m.Request())
	}},
	{"a larval SA", func(e *env) {
		sa := transport(hub, site, 0)
		e.ok(xfrmtest.AllocSPI(sa, 0x507, 0x507))
		sa.ID.SPI = 0x507
		m := moveTo(&sa, hubNew, siteNew)
		e.refused(unix.EINVAL, "ESP: AEAD or CRYPT must be provided", m.Request())
	}},
}
