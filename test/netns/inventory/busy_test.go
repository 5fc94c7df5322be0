//go:build lab

package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var busyHub, busyPeer = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.1")

// hubOf makes a namespace with so many Child SAs of one hub.
func hubOf(t *testing.T, tunnels int) (*netns, []xfrmtest.ChildSA) {
	t.Helper()
	n := newNetNS(t)
	all := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: tunnels, Local: busyHub, Remote: busyPeer, Dir: true})
	if err := xfrmtest.Install(n.conn, all...); err != nil {
		t.Fatal(err)
	}
	return n, all
}

// while does something over and over in the background until the function it returns is called, which tells how often.
func (n *netns) while(do func(c *xfrm.Conn, i int)) (stop func() int) {
	n.t.Helper()
	c, err := n.Dial()
	if err != nil {
		n.t.Fatal(err)
	}
	done, times := make(chan struct{}), 0
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				do(c, times)
				times++
			}
		}
	})
	return sync.OnceValue(func() int {
		close(done)
		work.Wait()
		c.Close()
		return times
	})
}

// TestReadOfABusyHub reads a hub on which SAs come and go, are moved and have policies rewritten without a pause.
func TestReadOfABusyHub(t *testing.T) {
	const tunnels = 2000
	n, all := hubOf(t, tunnels)
	begun := time.Now()
	n.inventory()
	rest := time.Since(begun)

	rekeyed := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: tunnels, Local: busyHub, Remote: busyPeer})[0]
	stop := n.while(func(c *xfrm.Conn, i int) {
		child := &all[i%tunnels]
		there := xfrm.Migration{
			ID: child.Out.ID, NewDst: xfrm.AddressFrom(netip.MustParseAddr("198.51.100.9")), NewSrc: child.Out.Src, OldMark: child.Out.Mark,
			NewSel: child.Out.Sel, NewReqid: child.Out.Reqid, NewFamily: xfrm.FamilyIPv4,
		}
		back := there
		back.ID, back.NewDst = there.Target(), there.ID.Dst
		for _, req := range []xfrm.Request{
			xfrmtest.NewSA(rekeyed.In, rekeyed.InAlg), there.Request(), xfrm.UpdatePolicy(&child.Policies[0]), back.Request(),
			xfrmtest.DeleteSA(rekeyed.In.ID, rekeyed.In.Mark),
		} {
			if err := c.Do(req)[0]; err != nil {
				t.Error(err)
			}
			time.Sleep(100 * time.Microsecond) // there is one CPU for both
		}
	})
	defer stop()
	for range 10 {
		begun = time.Now()
		inv := n.inventory()
		took := time.Since(begun)
		if err := whole(inv, tunnels); err != nil {
			t.Error(err)
		}
		t.Logf("%v, at rest %v", took, rest)
	}
	t.Logf("%d tunnels were changed", stop())
	n.asDumped(n.inventory())
}

// whole looks for each tunnel's SAs, which are there once, at one address or the other, and for its policies.
func whole(inv *plan.Inventory, tunnels int) error {
	sas, policies := make(map[uint32]int), make(map[uint32]int)
	for i := range inv.SAs {
		sas[inv.SAs[i].Reqid]++
	}
	for i := range inv.Policies {
		policies[inv.Policies[i].Templates[0].Reqid]++
	}
	for reqid := uint32(1); reqid <= uint32(tunnels); reqid++ {
		if sas[reqid] != 2 || policies[reqid] != 6 {
			return fmt.Errorf("tunnel %d has %d SAs and %d policies, want 2 and 6", reqid, sas[reqid], policies[reqid])
		}
	}
	return nil
}

// asDumped compares an inventory with dumps of the tables, which are at rest.
func (n *netns) asDumped(inv *plan.Inventory) {
	n.t.Helper()
	sas, policies, err := xfrm.Tables(n.conn, n.conn)
	if err != nil {
		n.t.Fatal(err)
	}
	got, want := make(map[string]xfrm.SA), make(map[string]xfrm.SA)
	for all, of := range map[*[]xfrm.SA]map[string]xfrm.SA{&inv.SAs: got, &sas: want} {
		for _, sa := range *all {
			sa.Current, sa.LastUsed = xfrm.Lifetime{}, 0
			of[fmt.Sprint(sa.ID, sa.Mark)] = sa
		}
	}
	for id, sa := range want {
		if got[id] != sa {
			n.t.Errorf("SA %s was read as\n%+v, is\n%+v", id, got[id], sa)
		}
	}
	if len(got) != len(want) {
		n.t.Errorf("read %d SAs, there are %d", len(got), len(want))
	}
	if !slices.EqualFunc(inv.Policies, policies, func(p, q xfrm.Policy) bool { return p.Same(&q) && p.Index == q.Index }) {
		n.t.Error("the policies, or their order, are not those of a dump")
	}
}

// TestReadFollowsEveryChange does each thing that can be done to SAs and policies in the middle of a dump, and compares what was
// read with what is there after.
func TestReadFollowsEveryChange(t *testing.T) {
	const tunnels = 400 // several pieces of either dump
	n, all := hubOf(t, tunnels)
	more := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: tunnels, Local: busyHub, Remote: busyPeer})[0]
	marked := more.In
	marked.ID.SPI, marked.Mark = 0xd0000001, xfrm.Mark{Value: 7, Mask: 0xff}
	larval := marked
	larval.Mark = xfrm.Mark{}
	limited := all[4].In
	limited.Limits.HardBytes, limited.Limits.SoftBytes, limited.Reqid = 1<<40, 1<<39, 4711
	short := more.Out
	short.ID.SPI, short.Limits.HardAdd = 0xd0000002, 1
	outranked := all[6].Policies[0]
	outranked.Priority = 7

	move := func(child *xfrmtest.ChildSA, change func(*xfrm.Migration)) xfrm.Request {
		sa := &child.Out
		m := xfrm.Migration{
			ID: sa.ID, NewDst: xfrm.AddressFrom(netip.MustParseAddr("198.51.100.9")), NewSrc: sa.Src, OldMark: sa.Mark,
			NewSel: sa.Sel, NewReqid: sa.Reqid, NewFamily: sa.ID.Family,
		}
		change(&m)
		return m.Request()
	}
	udp := &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 1024}
	keepalive := uint32(20)
	changes := []xfrm.Request{
		xfrmtest.NewSA(more.In, more.InAlg), xfrmtest.NewSA(short, more.OutAlg),
		xfrmtest.DeleteSA(all[0].In.ID, all[0].In.Mark),
		xfrmtest.AllocSPI(larval, 0xd0000001, 0xd0000001), xfrmtest.UpdateSA(marked, more.InAlg),
		xfrmtest.UpdateSA(limited, all[4].InAlg),
		xfrm.NewPolicy(&more.Policies[0]), xfrm.UpdatePolicy(&outranked), xfrmtest.DeletePolicyBySelector(&all[7].Policies[0]),
	}
	for _, i := range []int{10, tunnels - 10} { // what the dump is through with, and what it has not come to, or the other way round
		changes = append(changes,
			move(&all[i], func(*xfrm.Migration) {}),
			move(&all[i+1], func(m *xfrm.Migration) { m.Encap, m.NATKeepalive = udp, &keepalive }),
			move(&all[i+2], func(m *xfrm.Migration) {
				m.OutputMark, m.Mark = &xfrm.Mark{Value: 5, Mask: 0xff}, &xfrm.Mark{Value: 6, Mask: 0xff}
			}),
			move(&all[i+3], func(m *xfrm.Migration) {
				m.NewDst, m.NewSrc = xfrm.AddressFrom(netip.MustParseAddr("2001:db8::2")), xfrm.AddressFrom(netip.MustParseAddr("2001:db8::1"))
				m.NewFamily, m.NewReqid = xfrm.FamilyIPv6, 4712
				m.NewSel = xfrm.SelectorFor(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.128.0.0/9"))
			}))
	}

	other, err := n.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	sock, err := xfrm.DialSocket(n.FD())
	if err != nil {
		t.Fatal(err)
	}
	pieces := 0
	conn := xfrm.NewConn(xfrmtest.Faulty(sock, func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.AfterReceive && at.Has(xfrm.MsgNewSA) {
			if pieces++; pieces == 2 {
				return xfrmtest.Effect{Run: func() {
					for i, err := range other.Do(changes...) {
						if err != nil {
							t.Errorf("change %d: %v", i, err)
						}
					}
					time.Sleep(2500 * time.Millisecond) // until the one of a second has expired
				}}
			}
		}
		return xfrmtest.Effect{}
	}))
	defer conn.Close()
	inv, err := n.Inventory(conn)
	if err != nil {
		t.Fatal(err)
	}
	if pieces < 3 {
		t.Errorf("the dump of the SAD came in %d pieces", pieces)
	}
	n.asDumped(inv)
}

// TestReadBesideARun reads a hub while a run moves all of it.
func TestReadBesideARun(t *testing.T) {
	const tunnels = 1000
	n, _ := hubOf(t, tunnels)
	p := plan.Compute(document("192.0.2.1/32", "198.51.100.1/32"), n.inventory())
	if len(p.Refusals) != 0 {
		t.Fatal(p.Refusals)
	}
	conn, err := n.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	over := make(chan error, 1)
	go func() {
		_, err := executor.Run(context.Background(), p, executor.Config{
			Conn: n.conn, Journal: noJournal{}, Emit: func(executor.Event) {}, Run: t.Name(), OnError: plan.OnErrorStop, Parallelism: 8,
		})
		over <- err
	}()
	for reads := 0; ; reads++ {
		begun := time.Now()
		inv, err := n.Inventory(conn)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v", time.Since(begun))
		inv.Policies = slices.DeleteFunc(inv.Policies, func(p xfrm.Policy) bool { return p.Tagged() })
		if len(inv.SAs) != 2*tunnels || len(inv.Policies) < 6*tunnels-8*6 { // those of a group are rewritten between two of its messages
			t.Errorf("%d SAs and %d policies", len(inv.SAs), len(inv.Policies))
		}
		select {
		case err := <-over:
			if err != nil || reads == 0 {
				t.Errorf("%d reads beside the run: %v", reads, err)
			}
			n.asDumped(n.inventory())
			return
		default:
		}
	}
}
