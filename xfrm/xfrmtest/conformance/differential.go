package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// mostSAs is how many SAs the random test lets there be. From the ninth on the kernel's hash table grows, at a time of
// its own choosing, and which of two SAs is found that a mark can't tell apart changes with it.
const mostSAs = 7

// Differential sends the same random requests to two kernels and fails at the first answer that differs. The tables are
// compared whenever there are enough SAs, and in the end. A seed always gives the same requests.
func Differential(t *testing.T, seed uint64, steps int, a, b Namespace) {
	t.Helper()
	r := &random{rand.New(rand.NewPCG(seed, 0))}
	ea, eb := &env{T: t, ns: a, c: a.Dial()}, &env{T: t, ns: b, c: b.Dial()}
	for step := range steps {
		what, req := r.request()
		ra, rb := fmt.Sprint(ea.c.Do(req)[0]), fmt.Sprint(eb.c.Do(req)[0])
		if ra != rb {
			t.Fatalf("seed %d, step %d, %s:\n%s\n%s\n%x", seed, step, what, ra, rb, req.Payload)
		}
		if len(eb.sas()) >= mostSAs {
			same(t, seed, "SA", ea.sas(), eb.sas())
			ea.ok(xfrmtest.FlushSAs(0))
			eb.ok(xfrmtest.FlushSAs(0))
		}
	}
	same(t, seed, "SA", ea.sas(), eb.sas())
	same(t, seed, "policy", ea.policies(), eb.policies())
}

func same[T any](t *testing.T, seed uint64, what string, a, b []T) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("seed %d: %d and %d entries of type %s", seed, len(a), len(b), what)
	}
	for i := range min(len(a), len(b)) {
		if x, y := fmt.Sprintf("%#v", a[i]), fmt.Sprintf("%#v", b[i]); x != y {
			t.Errorf("seed %d: %s %d:\n%s\n%s", seed, what, i, x, y)
		}
	}
}

// random makes requests of few enough values that they meet.
type random struct{ *rand.Rand }

func pick[T any](r *random, from ...T) T { return from[r.IntN(len(from))] }

// rarely is true one time in twelve: often enough to meet every mistake, seldom enough that most requests succeed.
func (r *random) rarely() bool { return r.IntN(12) == 0 }

func (r *random) address() netip.Addr {
	return pick(r, hub, hub, hubNew, site, hub6, site6)
}

func (r *random) mark() xfrm.Mark {
	return pick(r, xfrm.Mark{}, xfrm.Mark{}, xfrm.Mark{Value: 1, Mask: 1}, xfrm.Mark{Value: 1, Mask: 3}, xfrm.Mark{Value: 7, Mask: 3}, xfrm.Mark{Value: 5})
}

func (r *random) selector() (s xfrm.Selector) {
	s.Family = pick(r, 0, xfrm.FamilyIPv4, xfrm.FamilyIPv6)
	if r.rarely() {
		s.Family = 9
	}
	s.DstLen, s.SrcLen = pick[uint8](r, 0, 8, 32), pick[uint8](r, 0, 24, 32, 64)
	s.Proto, s.User = pick[uint8](r, 0, 6), pick[uint32](r, 0, 0, xfrm.Tag)
	return s
}

func (r *random) encap() xfrm.Encap {
	switch r.IntN(8) {
	case 0:
		return xfrm.Encap{Type: 1, SPort: 1}
	case 1, 2, 3:
		return xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: uint16(r.IntN(3))}
	}
	return xfrm.Encap{}
}

func (r *random) sa() xfrm.SA {
	dst := r.address()
	sa := transport(r.address(), dst, xfrm.SPI(r.IntN(3)+1))
	sa.Mode = pick(r, xfrm.ModeTunnel, xfrm.ModeTunnel, xfrm.ModeTunnel, xfrm.ModeTransport, xfrm.ModeBEET)
	sa.Flags = pick[uint8](r, 32, 32, 0)
	sa.Sel, sa.Reqid, sa.Mark, sa.OutputMark = r.selector(), uint32(r.IntN(3)), r.mark(), r.mark()
	sa.Dir, sa.IfID, sa.Encap = xfrm.SADir(r.IntN(3)), uint32(r.IntN(2)), r.encap()
	sa.Replay.Sent = uint64(r.IntN(5))
	if sa.Dir == xfrm.SADirIn {
		sa.Window = pick[uint8](r, 0, 32, 64)
	}
	if r.rarely() {
		sa.NATKeepalive = 20
	}
	if r.rarely() {
		sa.MTimer = 10
	}
	if r.rarely() {
		sa.Mode, sa.ID.Proto = xfrm.Mode(r.IntN(8)), pick(r, xfrm.ProtoAH, xfrm.ProtoESP, 17)
	}
	return sa
}

func (r *random) policy() xfrm.Policy {
	p := outPolicy()
	p.Dir = xfrm.Dir(r.IntN(3))
	p.Sel = r.selector()
	if p.Sel.Family == 0 {
		p.Sel.Family = xfrm.FamilyIPv4
	}
	p.Priority, p.Action, p.Mark, p.IfID = uint32(r.IntN(3)), xfrm.Action(r.IntN(2)), r.mark(), uint32(r.IntN(2))
	if r.IntN(3) == 0 {
		p.Index = uint32(r.IntN(6))<<3 | uint32(p.Dir)
	}
	if r.rarely() {
		p.Index, p.Share = uint32(r.IntN(40)), uint8(r.IntN(5))
	}
	if r.rarely() {
		p.Dir, p.Type = xfrm.Dir(r.IntN(4)), xfrm.PolicyType(r.IntN(3))
	}
	if r.rarely() {
		t := &p.Templates[0]
		t.Mode, t.Proto, t.Family, t.Optional = xfrm.Mode(r.IntN(7)), pick(r, 0, xfrm.ProtoESP), pick(r, 0, xfrm.FamilyIPv4, xfrm.FamilyIPv6), uint8(r.IntN(2))
	}
	return p
}

func (r *random) migration() xfrm.Migration {
	sa := r.sa()
	m := moveTo(&sa, r.address(), r.address())
	m.OldMark = r.mark()
	if r.rarely() {
		m.Flags = uint32(r.IntN(5))
	}
	if r.rarely() {
		m.NewFamily = xfrm.Family(r.IntN(11))
	}
	if r.IntN(4) == 0 {
		mark := r.mark()
		m.Mark = &mark
	}
	if r.IntN(4) == 0 {
		mark := r.mark()
		m.OutputMark = &mark
	}
	if r.IntN(3) == 0 {
		e := r.encap()
		m.Encap = &e
	}
	if r.rarely() {
		m.NATKeepalive = ptr(uint32(r.IntN(2) * 20))
	}
	if r.rarely() {
		m.MTimer = ptr(uint32(r.IntN(2) * 20))
	}
	return m
}

func (r *random) request() (string, xfrm.Request) {
	switch n := r.IntN(20); {
	case n < 5:
		return "NEWSA", xfrmtest.NewSA(r.sa(), aes())
	case n < 7:
		return "UPDSA", xfrmtest.UpdateSA(r.sa(), aes())
	case n == 7:
		return "DELSA", xfrmtest.DeleteSA(r.sa().ID, r.mark())
	case n < 13:
		m := r.migration()
		return "MIGRATE_STATE", m.Request()
	case n < 15:
		p := r.policy()
		return "NEWPOLICY", xfrm.NewPolicy(&p)
	case n < 17:
		p := r.policy()
		return "UPDPOLICY", xfrm.UpdatePolicy(&p)
	case n == 17:
		p := r.policy()
		return "DELPOLICY by selector", xfrmtest.DeletePolicyBySelector(&p)
	case n == 18:
		p := r.policy()
		return "DELPOLICY by index", xfrm.DeletePolicy(&p)
	}
	return "GETAE", xfrm.GetSAStatus(r.sa().ID, r.mark())
}
