//go:build lab

package codec

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// statusOf is the part of a dumped SA that GETAE gives.
func statusOf(sa *xfrm.SA) xfrm.SAStatus {
	return xfrm.SAStatus{
		ID: sa.ID, Src: sa.Src, Reqid: sa.Reqid, Mark: sa.Mark, IfID: sa.IfID, Dir: sa.Dir, CPU: sa.CPU, Replay: sa.Replay, Current: sa.Current,
	}
}

func (n *netns) statuses(sas []xfrm.SA) ([]xfrm.SAStatus, []error) {
	reqs := make([]xfrm.Request, len(sas))
	for i := range sas {
		reqs[i] = xfrm.GetSAStatus(sas[i].ID, sas[i].Mark)
	}
	return n.conn.Statuses(reqs...)
}

func TestStatusesAreWhatTheDumpSays(t *testing.T) {
	n := newNetNS(t)
	n.addSAs()
	n.newSA(xfrm.SADirOut, nil)
	sas := n.sas()
	got, errs := n.statuses(sas)
	for i := range sas {
		if errs[i] != nil {
			t.Errorf("%v: %v", sas[i].ID, errs[i])
			continue
		}
		if diff := cmp.Diff(statusOf(&sas[i]), got[i]); diff != "" {
			t.Errorf("%v: -dump +status\n%s", sas[i].ID, diff)
		}
	}
	if _, errs := n.conn.Statuses(xfrm.GetSAStatus(xfrm.SAID{SPI: 1, Family: xfrm.FamilyIPv4, Proto: xfrm.ProtoESP}, xfrm.Mark{})); !errors.Is(errs[0], unix.ESRCH) {
		t.Errorf("an SA that is not there: %v, want ESRCH", errs[0])
	}
}

// TestCountersAreCarriedOver sends a datagram through an SA, migrates it and sends another.
func TestCountersAreCarriedOver(t *testing.T) {
	n := newNetNS(t)
	n.ip("link add d0 type dummy")
	n.ip("addr add 192.0.2.1/24 dev d0")
	n.ip("addr add 192.0.2.9/24 dev d0")
	n.ip("link set d0 up")
	n.ip("route add default dev d0")
	n.ip("xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode tunnel " + gcm + " flag esn replay-window 64 replay-oseq-hi 3 replay-oseq 0xfffffffe")
	n.ip("xfrm policy add src 192.0.2.1 dst 10.2.0.0/24 dir out tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 1 mode tunnel")
	packet := func() {
		n.inside(func() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				defer unix.Close(fd)
				if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}); err == nil {
					err = unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 2, 0, 1}})
				}
			}
			if err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	packet()
	before := n.sas()[0]
	if before.Current.Packets != 1 || before.Replay.Sent != 3<<32|0xffffffff {
		t.Fatalf("before: %+v, %+v, want one packet, number 0x3ffffffff", before.Current, before.Replay)
	}
	m := migrationOf(&before, "192.0.2.9", "203.0.113.9")
	n.do(m.Request())
	after := n.sas()
	want := statusOf(&before)
	want.ID, want.Src = m.Target(), m.NewSrc
	got, errs := n.statuses(after)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	n.ip("xfrm policy update src 192.0.2.1 dst 10.2.0.0/24 dir out tmpl src 192.0.2.9 dst 203.0.113.9 proto esp reqid 1 mode tunnel")
	packet()
	got, _ = n.statuses(after)
	if got[0].Current.Packets != 2 || got[0].Replay.Sent != 4<<32 {
		t.Errorf("after one more packet: %+v, %+v, want 2, number 0x400000000", got[0].Current, got[0].Replay)
	}
}

func TestBatchOfMigrationsAndStatuses(t *testing.T) {
	n := newNetNS(t)
	const count = 300 // more than one datagram takes
	for i := range count {
		n.newSA(xfrm.SADirIn, func(b []byte) { b[73], b[74], b[75] = 1, byte(i>>8), byte(i) })
	}
	sas := n.sas()
	var reqs []xfrm.Request
	for i := range sas {
		m := migrationOf(&sas[i], "192.0.2.9", "203.0.113.9")
		reqs = append(reqs, m.Request())
		sas[i].ID = m.Target()
	}
	// One that fails in the middle keeps the kernel from none of those behind it.
	reqs[count/2] = reqs[0]
	for i, err := range n.conn.Do(reqs...) {
		if want := i == count/2; errors.Is(err, unix.ESRCH) != want || (err != nil) != want {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	_, errs := n.statuses(sas)
	for i, err := range errs {
		if want := i == count/2; errors.Is(err, unix.ESRCH) != want || (err != nil) != want {
			t.Fatalf("status %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(len(n.sas())); got != fmt.Sprint(count) {
		t.Errorf("%s SAs, want %d", got, count)
	}
}
