package xfrmtest_test

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var (
	hub, hubNew   = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	site, siteNew = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.99")
)

// tunnel is a kernel with one Child SA.
func tunnel(t *testing.T) (*xfrmtest.Kernel, *xfrm.Conn, xfrmtest.ChildSA) {
	t.Helper()
	k := xfrmtest.New()
	c := k.Dial()
	t.Cleanup(func() { c.Close() })
	child := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, Local: hub, Remote: site})[0]
	if err := xfrmtest.Install(c, child); err != nil {
		t.Fatal(err)
	}
	return k, c, child
}

func do(t *testing.T, c *xfrm.Conn, reqs ...xfrm.Request) {
	t.Helper()
	for _, err := range c.Do(reqs...) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func fate(t *testing.T, v xfrmtest.Verdict, want xfrmtest.Fate, counter string) {
	t.Helper()
	if v.Fate != want || v.Counter != counter {
		t.Errorf("got %v, want %v %s", v, want, counter)
	}
}

func move(sa xfrm.SA, src, dst netip.Addr) xfrm.Request {
	m := xfrm.Migration{
		ID: sa.ID, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid, NewFamily: sa.ID.Family,
		NewSrc: xfrm.AddressFrom(src), NewDst: xfrm.AddressFrom(dst),
	}
	return m.Request()
}

func TestSequenceNumbersGoOnAfterAMigration(t *testing.T) {
	k, c, child := tunnel(t)
	p := xfrmtest.Example(&child.Policies[0].Sel)
	for range 3 {
		fate(t, k.Send(p), xfrmtest.Protected, "")
	}
	do(t, c, move(child.Out, hub, siteNew))
	out := child.Policies[0]
	out.Templates[0].Dst = xfrm.AddressFrom(siteNew)
	do(t, c, xfrm.UpdatePolicy(&out))
	v := k.Send(p)
	fate(t, v, xfrmtest.Protected, "")
	if v.Seq[0] != 4 {
		t.Errorf("sequence number %d, want 4", v.Seq[0])
	}
}

func TestTrafficWithoutSAIsDroppedAndAskedFor(t *testing.T) {
	k, c, child := tunnel(t)
	p := xfrmtest.Example(&child.Policies[3].Sel)
	do(t, c, move(child.Out, hub, siteNew)) // and the policies are not switched
	fate(t, k.Send(p), xfrmtest.Acquire, "XfrmOutNoStates")
	if n := len(k.Snapshot().SAs); n != 2 {
		t.Errorf("%d SAs, want no larval one: nobody listens", n)
	}
	m, err := xfrm.NewMonitor(k.Socket(), xfrm.GroupAcquire)
	if err != nil {
		t.Fatal(err)
	}
	fate(t, k.Send(p), xfrmtest.Acquire, "XfrmOutNoStates")
	fate(t, k.Send(p), xfrmtest.Acquire, "XfrmOutNoStates")
	all, err := c.SAs()
	if err != nil || len(all) != 3 || !all[0].Larval() {
		t.Fatalf("SAs %v, %v, want one larval", all, err)
	}
	e, err := m.Next(time.Now())
	if err != nil || e.Type != xfrm.MsgAcquire || e.Policy.Sel != child.Policies[3].Sel {
		t.Errorf("event %+v, %v", e, err)
	}
}

func TestTaggedBlockCoversAPolicyOfLowerPriority(t *testing.T) {
	k, c, child := tunnel(t)
	block := child.Policies[0]
	block.Sel, block.Priority, block.Action, block.Templates = block.Sel.Tagged(xfrm.Tag), block.Priority-1, xfrm.Block, nil
	do(t, c, xfrm.NewPolicy(&block))
	p := xfrmtest.Example(&child.Policies[0].Sel)
	fate(t, k.Send(p), xfrmtest.Blocked, "XfrmOutPolBlock")
	block.Priority += 1 // as that of the policy, which is older
	do(t, c, xfrm.UpdatePolicy(&block))
	fate(t, k.Send(p), xfrmtest.Protected, "")
}

func TestNoPolicyMeansClear(t *testing.T) {
	k, _, child := tunnel(t)
	if err := k.FlushPolicies(); err != nil {
		t.Fatal(err)
	}
	fate(t, k.Send(xfrmtest.Example(&child.Policies[0].Sel)), xfrmtest.Clear, "")
}

func TestInbound(t *testing.T) {
	k, c, child := tunnel(t)
	in := xfrmtest.Example(&child.Policies[1].Sel)
	arrive := func(id xfrm.SAID) xfrmtest.Arrival { return xfrmtest.Arrival{Inner: in, Outer: &id} }
	fate(t, k.Receive(arrive(child.In.ID)), xfrmtest.Accepted, "")
	fate(t, k.Receive(xfrmtest.Arrival{Inner: in}), xfrmtest.Dropped, "XfrmInTmplMismatch") // in the clear
	again := arrive(child.In.ID)
	again.Seq = 1
	fate(t, k.Receive(again), xfrmtest.Dropped, "XfrmInStateSeqError")
	moved := child.In.ID
	moved.Dst = xfrm.AddressFrom(hubNew)
	fate(t, k.Receive(arrive(moved)), xfrmtest.Dropped, "XfrmInNoStates")

	do(t, c, move(child.In, site, hubNew)) // our own address changes: stale policies go on passing traffic
	fate(t, k.Receive(arrive(moved)), xfrmtest.Accepted, "")
	sa := child.In
	sa.ID = moved
	do(t, c, move(sa, siteNew, hubNew)) // the peer's: they don't
	fate(t, k.Receive(arrive(moved)), xfrmtest.Dropped, "XfrmInTmplMismatch")

	if err := k.FlushPolicies(); err != nil {
		t.Fatal(err)
	}
	fate(t, k.Receive(arrive(moved)), xfrmtest.Dropped, "XfrmInNoPols")
	fate(t, k.Receive(xfrmtest.Arrival{Inner: in}), xfrmtest.Accepted, "")
}

func TestSubPolicyDecidesBeforeTheMainOne(t *testing.T) {
	k, c, child := tunnel(t)
	sub := child.Policies[0]
	sub.Type, sub.Action, sub.Priority, sub.Templates = xfrm.PolicySub, xfrm.Block, 1<<30, nil
	do(t, c, xfrm.NewPolicy(&sub))
	fate(t, k.Send(xfrmtest.Example(&sub.Sel)), xfrmtest.Blocked, "XfrmOutPolBlock")
}

func TestSelectorsMatchPortsOnlyOfProtocolsThatHaveThem(t *testing.T) {
	k := xfrmtest.New()
	c := k.Dial()
	defer c.Close()
	p := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, Local: hub, Remote: site})[0].Policies[0]
	p.Action, p.Sel.DPort, p.Sel.DPortMask = xfrm.Block, 53, 0xffff
	do(t, c, xfrm.NewPolicy(&p))
	pkt := xfrmtest.Example(&p.Sel)
	fate(t, k.Send(pkt), xfrmtest.Blocked, "XfrmOutPolBlock")
	pkt.Proto = unix.IPPROTO_ESP
	fate(t, k.Send(pkt), xfrmtest.Clear, "")
}
