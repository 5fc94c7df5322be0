package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// saError makes a case of a NEWSA that is refused: change spoils an SA and algorithms that are right.
func saError(name string, errno unix.Errno, reason string, change func(*xfrm.SA, *xfrmtest.Algorithms)) testCase {
	return testCase{name, func(e *env) {
		sa, alg := transport(hub, site, 0x400), aes()
		change(&sa, &alg)
		e.refused(errno, reason, xfrmtest.NewSA(sa, alg))
		equal(e, "SAs", len(e.sas()), 0)
	}}
}

const noCrypto = "Kernel was unable to initialize cryptographic operations"

var saErrorCases = []testCase{
	saError("family", unix.EINVAL, "Invalid address family", func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.ID.Family = 7 }),
	saError("selector family", unix.EINVAL, "Invalid address family in selector", func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Sel.Family = 7 }),
	saError("prefix of 33 bits", unix.EINVAL, "Invalid prefix length in selector (must be <= 32 for IPv4)",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Sel.DstLen = 33 }),
	saError("prefix of 129 bits", unix.EINVAL, "Invalid prefix length in selector (must be <= 128 for IPv6)",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Sel.Family, sa.Sel.SrcLen = xfrm.FamilyIPv6, 129 }),
	saError("protocol", unix.EINVAL, "Unsupported protocol", func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.ID.Proto = 17 }),
	saError("mode", unix.EINVAL, "Unsupported mode", func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Mode = 9 }),
	saError("route optimisation over IPv4", unix.EPROTONOSUPPORT, "Requested mode not found",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Mode = xfrm.ModeRO }),
	saError("transport mode with another family inside", unix.EPROTONOSUPPORT, "Only tunnel modes can accommodate a change of family",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Sel.Family = xfrm.FamilyIPv6 }),
	saError("no algorithm", unix.EINVAL, "Missing required attribute for ESP: at least one of AUTH, AUTH_TRUNC, CRYPT, AEAD",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { *a = xfrmtest.Algorithms{} }),
	saError("ESP that only authenticates", unix.EINVAL, "ESP: AEAD or CRYPT must be provided",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Crypt = nil }),
	saError("AEAD and encryption", unix.EINVAL, "Invalid attribute combination for ESP: AEAD can't be used with AUTH, AUTH_TRUNC, CRYPT",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.AEAD = child().InAlg.AEAD }),
	saError("ESP with compression", unix.EINVAL, "Invalid attribute for ESP: COMP",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Comp = &xfrmtest.Algorithm{Name: "deflate"} }),
	saError("AH that encrypts", unix.EINVAL, "Invalid attributes for AH: AEAD, CRYPT, COMP, TFCPAD",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.ID.Proto = xfrm.ProtoAH }),
	saError("AH without authentication", unix.EINVAL, "Missing required attribute for AH: AUTH_TRUNC or AUTH",
		func(sa *xfrm.SA, a *xfrmtest.Algorithms) { sa.ID.Proto, a.Auth = xfrm.ProtoAH, nil }),
	saError("AH in UDP", unix.EINVAL, "AH is not compatible with encapsulation",
		func(sa *xfrm.SA, a *xfrmtest.Algorithms) {
			sa.ID.Proto, a.Crypt, sa.Encap = xfrm.ProtoAH, nil, xfrm.Encap{Type: xfrm.EncapESPinUDP}
		}),
	saError("unknown encryption", unix.ENOSYS, "Requested CRYPT algorithm not found",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Crypt.Name = "rot13" }),
	saError("unknown authentication", unix.ENOSYS, "Requested AUTH_TRUNC algorithm not found",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Auth.Name = "crc32" }),
	saError("unknown AEAD", unix.ENOSYS, "Requested AEAD algorithm not found",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { *a = child().InAlg; a.AEAD.ICV = 100 }),
	saError("truncation longer than the hash", unix.EINVAL, "Invalid length requested for truncated ICV",
		func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Auth.ICV = 257 }),
	saError("key of 15 bytes", unix.EINVAL, "", func(_ *xfrm.SA, a *xfrmtest.Algorithms) { a.Crypt.Key = a.Crypt.Key[:15] }),
	saError("AEAD key without salt", unix.EINVAL, noCrypto, func(_ *xfrm.SA, a *xfrmtest.Algorithms) { *a = child().InAlg; a.AEAD.Key = a.AEAD.Key[:15] }),
	saError("TCP encapsulation, which this kernel is built without", unix.EINVAL, "Unsupported encapsulation type for ESP",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Encap.Type = 7 }),
	saError("extended sequence numbers without their state", unix.EINVAL, "Missing required attribute for ESN",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Flags = 128 }),
	saError("both kinds of window", unix.EINVAL, "ESN not compatible with legacy replay_window",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) {
			sa.Replay, sa.Window = xfrm.Replay{ESN: true, Window: 32}, 32
		}),
	saError("extended sequence numbers without window", unix.EINVAL, "ESN replay window must be > 0",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Flags, sa.Replay.ESN = 128, true }),
	saError("window on an output SA", unix.EINVAL, "Replay window should be 0 for output SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir, sa.Window = xfrm.SADirOut, 32 }),
	saError("numbers received on an output SA", unix.EINVAL, "Replay seq and bitmap should be 0 for output SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir, sa.Replay.Received = xfrm.SADirOut, 1 }),
	saError("numbers sent on an input SA", unix.EINVAL, "Replay oseq and oseq_hi should be 0 for input SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) {
			sa.Dir, sa.Replay = xfrm.SADirIn, xfrm.Replay{Sent: 1, Window: 32, ESN: true}
		}),
	saError("DECAP_DSCP on an output SA", unix.EINVAL, "Flag DECAP_DSCP should not be set for output SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir, sa.Flags = xfrm.SADirOut, 2 }),
	saError("NOPMTUDISC on an input SA", unix.EINVAL, "Flag NOPMTUDISC should not be set for input SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir, sa.Flags = xfrm.SADirIn, 4 }),
	saError("OSEQ_MAY_WRAP on an input SA", unix.EINVAL, "Flag OSEQ_MAY_WRAP should not be set for input SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir, sa.ExtraFlags = xfrm.SADirIn, 2 }),
	saError("mapping timer without encapsulation", unix.EINVAL, "MTIMER_THRESH requires encapsulation",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.MTimer = 10 }),
	saError("mapping timer on an output SA", unix.EINVAL, "MTIMER_THRESH should not be set on output SA",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) {
			sa.MTimer, sa.Encap.Type, sa.Dir = 10, xfrm.EncapESPinUDP, xfrm.SADirOut
		}),
	saError("NAT keepalive without direction", unix.EINVAL, "NAT keepalive is only supported for outbound SAs",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.NATKeepalive, sa.Encap.Type = 20, xfrm.EncapESPinUDP }),
	saError("NAT keepalive without encapsulation", unix.EINVAL, "NAT keepalive is only supported for UDP encapsulation",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.NATKeepalive, sa.Dir = 20, xfrm.SADirOut }),
	saError("per-CPU without direction", unix.EINVAL, "SA_PCPU only supported with SA_DIR",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.CPU = 0 }),
	saError("a CPU that is not there", unix.ERANGE, "pCPU number too big",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.CPU, sa.Dir = 1<<20, xfrm.SADirIn }),
	saError("TFC padding in transport mode", unix.EINVAL, "TFC padding can only be used in tunnel mode",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.TFCPad = 10 }),
	saError("TFC padding beyond any packet", unix.EINVAL, "Excessive TFC padding",
		func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.TFCPad, sa.Mode = 1<<16, xfrm.ModeTunnel }),
	saError("a direction that is none", unix.ERANGE, "integer out of range", func(sa *xfrm.SA, _ *xfrmtest.Algorithms) { sa.Dir = 3 }),
	{"an SA that is there", func(e *env) {
		sa := transport(hub, site, 0x401)
		e.ok(xfrmtest.NewSA(sa, aes()))
		e.refused(unix.EEXIST, "", xfrmtest.NewSA(sa, aes()))
	}},
	{"an SA that is not there", func(e *env) {
		sa := transport(hub, site, 0x402)
		e.refused(unix.ESRCH, "", xfrmtest.UpdateSA(sa, aes()))
		e.refused(unix.ESRCH, "", xfrmtest.DeleteSA(sa.ID, sa.Mark))
		e.refused(unix.ESRCH, "", xfrmtest.GetSA(sa.ID, sa.Mark))
		e.refused(unix.ESRCH, "", xfrm.GetSAStatus(sa.ID, sa.Mark))
		sa.ID.Proto = 0
		e.refused(unix.EINVAL, "", xfrmtest.DeleteSA(sa.ID, sa.Mark)) // by source address, which is missing
	}},
	{"UPDSA can't add encapsulation or change the direction", func(e *env) {
		sa := transport(hub, site, 0x403)
		e.ok(xfrmtest.NewSA(sa, aes()))
		sa.Dir = xfrm.SADirOut
		e.refused(unix.ESRCH, "", xfrmtest.UpdateSA(sa, aes()))
		sa.Dir, sa.Encap.Type = xfrm.SADirUnset, xfrm.EncapESPinUDP
		e.refused(unix.EINVAL, "", xfrmtest.UpdateSA(sa, aes()))
	}},
	{"ALLOCSPI", func(e *env) {
		sa := transport(hub, site, 0)
		e.refused(unix.EINVAL, "Invalid SPI range: min > max", xfrmtest.AllocSPI(sa, 2, 1))
		e.ok(xfrmtest.NewSA(transport(hub6, site6, 0x404), aes())) // another destination, and yet
		e.refused(unix.ENOENT, "No SPI available in the requested range", xfrmtest.AllocSPI(sa, 0x404, 0x404))
		sa.ID.Proto = xfrm.ProtoComp
		e.refused(unix.EINVAL, "IPCOMP SPI must be <= 65535", xfrmtest.AllocSPI(sa, 1, 1<<16))
	}},
	{"attributes that are too short, or don't belong", func(e *env) {
		req := xfrmtest.NewSA(transport(hub, site, 0x405), aes())
		add := func(typ, n byte, p ...byte) xfrm.Request {
			return edit(req, func(b []byte) []byte { return append(append(b, n, 0, typ, 0), p...) })
		}
		e.refused(unix.ERANGE, "Attribute failed policy validation", add(xfrm.AttrMark, 8, 0, 0, 0, 0))
		e.refused(unix.ERANGE, "Attribute failed policy validation", add(xfrm.AttrIfID, 6, 0, 0, 0, 0))
		e.refused(unix.EINVAL, "invalid attribute length", add(xfrm.AttrSADir, 8, 1, 0, 0, 0))
		e.refused(unix.EINVAL, "invalid attribute length", add(xfrm.AttrNATKeepalive, 6, 0, 0, 0, 0))
		e.refused(unix.EINVAL, "Invalid header length", edit(req, func(b []byte) []byte { return b[:223] }))
		e.refused(unix.EINVAL, "Invalid attribute SA_DIR", edit(xfrmtest.DeleteSA(transport(hub, site, 1).ID, xfrm.Mark{}),
			func(b []byte) []byte { return append(b, 5, 0, xfrm.AttrSADir, 0, 1, 0, 0, 0) }))
		e.refused(unix.EINVAL, "Invalid attribute SA_PCPU", edit(xfrmtest.DeleteSA(transport(hub, site, 1).ID, xfrm.Mark{}),
			func(b []byte) []byte { return append(b, 8, 0, xfrm.AttrPCPU, 0, 1, 0, 0, 0) }))
	}},
}
