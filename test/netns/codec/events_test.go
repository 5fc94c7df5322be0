//go:build lab

package codec

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestEvents has others change the SAD and SPD and compares what the monitor says with a dump.
func TestEvents(t *testing.T) {
	const addSA = "xfrm state add " + v4 + "proto esp spi 0x1001 reqid 1 mode tunnel " + gcm + " mark 0x10 mask 0xff if_id 7 dir out flag esn replay-window 0"
	const id = v4 + "proto esp spi 0x1001 mark 0x10 mask 0xff"
	const policy = "src 10.1.0.0/24 dst 10.2.0.0/24 dir out mark 0x10 mask 0xff if_id 7"
	const tmpl = " tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel"
	n := newNetNS(t)
	m := n.monitor(xfrm.GroupSA, xfrm.GroupPolicy)

	n.ip(addSA)
	sa := n.sas()[0]
	m.want(xfrm.Event{Type: xfrm.MsgNewSA, SA: &sa})
	n.ip("xfrm state delete " + id)
	m.want(xfrm.Event{Type: xfrm.MsgDelSA, ID: &sa.ID, SA: &sa})

	n.ip("xfrm policy add " + policy + tmpl)
	p := n.policies()[0]
	m.want(xfrm.Event{Type: xfrm.MsgNewPolicy, Policy: &p})
	n.ip("xfrm policy update " + policy + " priority 9" + tmpl)
	p = n.policies()[0]
	m.want(xfrm.Event{Type: xfrm.MsgUpdPolicy, Policy: &p})
	n.ip("xfrm policy delete " + policy)
	m.want(xfrm.Event{Type: xfrm.MsgDelPolicy, Policy: &p})
	n.ip("xfrm policy add " + policy + tmpl)
	p = n.policies()[0]
	m.want(xfrm.Event{Type: xfrm.MsgNewPolicy, Policy: &p})
	n.do(xfrm.DeletePolicy(&p))
	m.want(xfrm.Event{Type: xfrm.MsgDelPolicy, Policy: &p})

	n.ip(addSA)
	sa = n.sas()[0]
	m.want(xfrm.Event{Type: xfrm.MsgNewSA, SA: &sa})
	n.ip("xfrm state flush")
	m.want(xfrm.Event{Type: xfrm.MsgFlushSA})
	n.ip("xfrm policy add " + policy)
	p = n.policies()[0]
	m.want(xfrm.Event{Type: xfrm.MsgNewPolicy, Policy: &p})
	n.ip("xfrm policy flush")
	m.want(xfrm.Event{Type: xfrm.MsgFlushPolicy})
	m.wantNoMore()
}

func TestEventsOfExpiry(t *testing.T) {
	n := newNetNS(t)
	m := n.monitor(xfrm.GroupExpire)
	n.ip("xfrm state add " + v4 + "proto esp spi 0x1001 reqid 1 mode tunnel " + gcm + " mark 0x10 mask 0xff if_id 7 dir out flag esn replay-window 0 limit time-hard 1")
	e := m.next()
	if e.Type != xfrm.MsgExpire || !e.Hard || e.SA == nil || e.SA.ID.SPI != 0x1001 || e.SA.Mark.Value != 0x10 || e.SA.IfID != 7 || e.SA.Dir != xfrm.SADirOut {
		t.Errorf("%+v, %+v, want the SA's hard limit, with mark, if_id and direction", e, e.SA)
	}
	n.ip("xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out mark 0x10 mask 0xff limit time-hard 1 tmpl proto esp mode transport")
	e = m.next()
	if e.Type != xfrm.MsgPolExpire || !e.Hard || e.Policy == nil || e.Policy.Mark.Value != 0x10 || len(e.Policy.Templates) != 1 {
		t.Errorf("%+v, %+v, want the policy's hard limit, with mark and template", e, e.Policy)
	}
}

func TestEventOfAcquire(t *testing.T) {
	n := newNetNS(t)
	n.ip("link add d0 type dummy") // not lo, which policies don't apply to
	n.ip("addr add 192.0.2.1/24 dev d0")
	n.ip("link set d0 up")
	n.ip("route add default dev d0")
	n.ip("xfrm policy add src 192.0.2.1 dst 10.2.0.0/24 dir out tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel")
	p := n.policies()[0]
	m := n.monitor(xfrm.GroupAcquire)
	n.inside(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Errorf("socket: %v", err)
			return
		}
		defer unix.Close(fd)
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}})
		// The kernel drops it, with or without an error, for want of an SA.
		unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 2, 0, 1}})
	})
	e := m.next()
	if e.Type != xfrm.MsgAcquire || e.Policy == nil || e.Policy.Key() != p.Key() || !cmp.Equal(e.Policy.Templates, p.Templates, cmp.AllowUnexported(xfrm.Template{})) {
		t.Errorf("%+v, %+v, want an acquire for %+v", e, e.Policy, p)
	}
	if sas := n.sas(); len(sas) != 1 || !sas[0].Larval() {
		t.Errorf("SAs %+v, want a larval one", sas)
	}
}

type monitor struct {
	t *testing.T
	m *xfrm.Monitor
}

func (n *netns) monitor(groups ...uint32) monitor {
	n.t.Helper()
	m, err := xfrm.DialMonitor(n.fd(), groups...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { m.Close() })
	return monitor{n.t, m}
}

func (m monitor) next() xfrm.Event {
	m.t.Helper()
	e, err := m.m.Next(time.Now().Add(10 * time.Second))
	if err != nil {
		m.t.Fatal(err)
	}
	return e
}

func (m monitor) want(want xfrm.Event) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.next(), cmp.AllowUnexported(xfrm.Selector{}, xfrm.Policy{}, xfrm.Template{})); diff != "" {
		m.t.Errorf("-dump +event\n%s", diff)
	}
}

func (m monitor) wantNoMore() {
	m.t.Helper()
	if e, err := m.m.Next(time.Now()); err == nil {
		m.t.Errorf("one more event: %+v", e)
	}
}
