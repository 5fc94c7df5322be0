package host

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// hub is a kernel with tunnels, and somebody who changes them whenever a read of its tables comes to a point where it can.
type hub struct {
	*xfrmtest.Kernel
	t *testing.T

	mu      sync.Mutex // guards all below: the two tables are read side by side
	conn    *xfrm.Conn
	r       *rand.Rand
	dumping bool // the dump of the SAD has begun
	left    int  // changes to make
	serial  int
}

func newHub(t *testing.T, seed uint64, changes int, opts ...xfrmtest.Option) *hub {
	t.Helper()
	h := &hub{Kernel: xfrmtest.New(opts...), t: t, r: rand.New(rand.NewPCG(seed, 0)), left: changes}
	h.conn = h.Dial()
	t.Cleanup(func() { h.conn.Close() })
	if err := xfrmtest.Install(h.conn, xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 60, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Dir: true,
	})...); err != nil {
		t.Fatal(err)
	}
	return h
}

// read reads the tables while do is done at every point of it.
func (h *hub) read(do func(xfrmtest.At)) (*plan.Inventory, error) {
	h.t.Helper()
	fault := func(at xfrmtest.At) xfrmtest.Effect {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.left > 0 {
			do(at)
		}
		h.dumping = h.dumping || at.Point == xfrmtest.BeforeSend && len(at.Messages) == 1 && at.Messages[0].Type == xfrm.MsgGetSA
		return xfrmtest.Effect{}
	}
	sad, spd := xfrm.NewConn(xfrmtest.Faulty(h.Socket(), fault)), xfrm.NewConn(xfrmtest.Faulty(h.Socket(), fault))
	defer sad.Close()
	defer spd.Close()
	watch, err := xfrm.NewMonitor(h.Socket(), tableGroups...)
	if err != nil {
		h.t.Fatal(err)
	}
	defer watch.Close()
	return readTables(sad, spd, watch)
}

// changes does a few of the things that IKE daemons and runs do.
func (h *hub) changes(xfrmtest.At) {
	for range h.r.IntN(4) {
		h.left--
		if h.dumping && h.r.IntN(2) == 0 {
			h.changeSA()
		} else {
			h.changePolicy()
		}
	}
}

func (h *hub) changeSA() {
	sas, err := h.conn.SAs()
	if err != nil || len(sas) == 0 {
		return
	}
	sa := sas[h.r.IntN(len(sas))]
	h.serial++
	n := uint32(h.serial)
	alg := xfrmtest.Algorithms{AEAD: &xfrmtest.Algorithm{Name: "rfc4106(gcm(aes))", Key: make([]byte, 20), ICV: 128}}
	switch h.r.IntN(5) {
	case 0: // a new one
		sa.ID.SPI, sa.Reqid = xfrm.SPI(0xd0000000+n), 0x10000+n
		h.do(xfrmtest.NewSA(sa, alg))
	case 1:
		h.do(xfrmtest.DeleteSA(sa.ID, sa.Mark))
	case 2: // of what this asks for the SA takes the limits only
		sa.Limits.HardBytes, sa.Reqid = uint64(n), 0x20000+n
		h.do(xfrmtest.UpdateSA(sa, alg))
	case 3: // as charon sets up an inbound SA
		sa.ID.SPI, sa.Mark = 0, xfrm.Mark{}
		h.do(xfrmtest.AllocSPI(sa, 0xe0000000+n, 0xe0000000+n))
		sa.ID.SPI, sa.Mark = xfrm.SPI(0xe0000000+n), xfrm.Mark{Value: 7, Mask: 0xff}
		h.do(xfrmtest.UpdateSA(sa, alg))
	case 4:
		h.move(&sa, n)
	}
}

// move moves an SA, with some of the attributes, and sometimes back again.
func (h *hub) move(sa *xfrm.SA, n uint32) {
	m := xfrm.Migration{
		ID: sa.ID, NewDst: sa.ID.Dst, NewSrc: sa.Src, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid, NewFamily: sa.ID.Family,
	}
	m.NewDst[3] = byte(n)
	if n%2 == 0 {
		m.NewSrc[3], m.NewReqid, m.OutputMark = byte(n), 0x30000+n, &xfrm.Mark{Value: n, Mask: 0xff}
	}
	if n%3 == 0 {
		m.Encap = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: uint16(n)}
	}
	if n%5 == 0 {
		m.Mark = &xfrm.Mark{Value: 9, Mask: 0xff}
	}
	h.do(m.Request())
	if n%7 == 0 {
		m.ID, m.NewDst, m.OldMark = m.Target(), sa.ID.Dst, m.TargetMark()
		h.do(m.Request())
	}
}

func (h *hub) changePolicy() {
	policies, err := h.conn.Policies()
	if err != nil || len(policies) == 0 {
		return
	}
	p := policies[h.r.IntN(len(policies))]
	h.serial++
	switch h.r.IntN(4) {
	case 0:
		h.do(xfrm.DeletePolicy(&p))
	case 1: // and there again, under the same index
		h.do(xfrm.DeletePolicy(&p), xfrm.NewPolicy(&p))
	case 2:
		p.Priority = uint32(h.serial)
		h.do(xfrm.UpdatePolicy(&p))
	case 3:
		p.Sel.User, p.Index = uint32(h.serial), 0
		h.do(xfrm.NewPolicy(&p))
	}
}

// do does what may fail: an SA can be gone meanwhile, or a place be taken.
func (h *hub) do(reqs ...xfrm.Request) { h.conn.Do(reqs...) }

// same compares what was read with the tables as they are: all policies, in their order, and all SAs but for larval ones,
// which come unannounced.
func (h *hub) same(inv *plan.Inventory) error {
	sas, err := h.conn.SAs()
	if err != nil {
		return err
	}
	policies, err := h.conn.Policies()
	if err != nil {
		return err
	}
	is, want := make(map[key]xfrm.SA), make(map[key]xfrm.SA)
	for of, all := range map[*map[key]xfrm.SA][]xfrm.SA{&is: inv.SAs, &want: sas} {
		for i := range all {
			if !all[i].Larval() {
				(*of)[keyOf(&all[i])] = all[i]
			}
		}
	}
	for k, sa := range want {
		if is[k] != sa {
			err = errors.Join(err, fmt.Errorf("SA %v is\n%+v, want\n%+v", k, is[k], sa))
		}
		delete(is, k)
	}
	for k := range is {
		err = errors.Join(err, fmt.Errorf("SA %v is not there", k))
	}
	if !slices.EqualFunc(inv.Policies, policies, func(p, q xfrm.Policy) bool { return p.Same(&q) && p.Index == q.Index }) {
		err = errors.Join(err, fmt.Errorf("the policies are\n%v, want\n%v", indexes(inv.Policies), indexes(policies)))
	}
	return err
}

func indexes(policies []xfrm.Policy) (all []uint32) {
	for i := range policies {
		all = append(all, policies[i].Index)
	}
	return all
}

// TestReadFollowsChanges: whatever is done to the tables while they are read, the result is what they are after.
func TestReadFollowsChanges(t *testing.T) {
	changes := 0
	for seed := range uint64(25) {
		h := newHub(t, seed, 100)
		inv, err := h.read(h.changes)
		if err == nil {
			err = h.same(inv)
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		changes += h.serial
	}
	if changes < 1500 {
		t.Errorf("only %d changes were made", changes)
	}
}

// TestReadDoesNotWaitForRest: a run beside it moves an SA, or another process rewrites a policy, at every single point.
func TestReadDoesNotWaitForRest(t *testing.T) {
	h := newHub(t, 1, 1_000_000)
	inv, err := h.read(func(xfrmtest.At) {
		h.serial++
		h.changePolicy()
		sas, err := h.conn.SAs()
		if err != nil || !h.dumping {
			return
		}
		h.move(&sas[h.r.IntN(len(sas))], uint32(h.serial))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.same(inv); err != nil {
		t.Error(err)
	}
}

// TestReadStartsOver where notifications don't tell what has become of the tables.
func TestReadStartsOver(t *testing.T) {
	child := xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 1, First: 1000, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"),
	})[0]
	for _, tc := range []struct {
		name string
		opt  xfrmtest.Option
		do   func(*hub)
	}{
		{"SAs are flushed", nil, func(h *hub) { h.do(append(child.Requests(), xfrmtest.FlushSAs(0))...) }},
		{"policies are flushed", nil, func(h *hub) { h.do(append(child.Requests(), xfrmtest.FlushPolicies())...) }},
		{"notifications are lost", xfrmtest.WithReceiveBuffer(512 << 10), func(h *hub) {
			h.do(slices.Repeat([]xfrm.Request{xfrm.UpdatePolicy(&child.Policies[0])}, 1000)...)
		}},
	} {
		for _, again := range []int{3, 1000} {
			t.Run(fmt.Sprintf("%s, %d times", tc.name, again), func(t *testing.T) {
				var opts []xfrmtest.Option
				if tc.opt != nil {
					opts = append(opts, tc.opt)
				}
				h := newHub(t, 1, again, opts...)
				inv, err := h.read(func(at xfrmtest.At) {
					if at.Point == xfrmtest.AfterSend && at.Has(xfrm.MsgGetSA) {
						h.left--
						tc.do(h)
					}
				})
				switch {
				case again > maxReads && !errors.Is(err, ErrRestless):
					t.Errorf("got error %v, want ErrRestless", err)
				case again < maxReads && err == nil:
					if err := h.same(inv); err != nil {
						t.Error(err)
					}
				case again < maxReads:
					t.Error(err)
				}
			})
		}
	}
}
