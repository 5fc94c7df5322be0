//go:build lab

package codec

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// migrationOf is what moves sa to other outer addresses and changes nothing else.
func migrationOf(sa *xfrm.SA, src, dst string) xfrm.Migration {
	to := netip.MustParseAddr(dst)
	return xfrm.Migration{
		ID: sa.ID, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid,
		NewSrc: xfrm.AddressFrom(netip.MustParseAddr(src)), NewDst: xfrm.AddressFrom(to), NewFamily: xfrm.FamilyOf(to),
	}
}

func ptr[T any](v T) *T { return &v }

// diffSA leaves out what runs on by itself.
func diffSA(want, got xfrm.SA) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(xfrm.Selector{}), cmpopts.IgnoreFields(xfrm.SA{}, "LastUsed"))
}

func TestMigrate(t *testing.T) {
	const tunnel = "xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode tunnel " + gcm
	const inUDP = tunnel + " dir in flag esn replay-window 64 encap espinudp 4500 4501 0.0.0.0"
	const host = "xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 1 mode transport " + gcm + " sel src 192.0.2.1 dst 203.0.113.1"
	full := " mark 0x10 mask 0xff output-mark 0x20 mask 0xf0 if_id 7 dir out flag esn replay-window 0 replay-oseq 77 sel src 10.1.0.0/24 dst 10.2.0.0/24"

	for _, c := range []struct {
		name     string
		add      string
		src, dst string
		change   func(*xfrm.Migration)
		want     func(*xfrm.SA)        // what is other than before, besides the addresses
		notified func(*xfrm.Migration) // what the notification has that the request did not
	}{
		{name: "addresses alone", add: tunnel, src: "192.0.2.9", dst: "203.0.113.9"},
		{name: "to IPv6", add: tunnel, src: "2001:db8::1", dst: "2001:db8::2"},
		{
			name: "everything kept", add: tunnel + full, src: "192.0.2.9", dst: "203.0.113.9",
			notified: func(m *xfrm.Migration) { m.OutputMark = &xfrm.Mark{Value: 0x20, Mask: 0xf0} },
		},
		{
			name: "source alone", add: tunnel + full, src: "192.0.2.9", dst: "203.0.113.1",
			notified: func(m *xfrm.Migration) { m.OutputMark = &xfrm.Mark{Value: 0x20, Mask: 0xf0} },
		},
		{
			name: "reqid and selector", add: tunnel, src: "192.0.2.9", dst: "203.0.113.9",
			change: func(m *xfrm.Migration) {
				m.NewReqid = 1017
				m.NewSel = xfrm.SelectorFor(netip.MustParsePrefix("10.8.0.0/16"), netip.MustParsePrefix("10.9.0.0/16"))
			},
			want: func(sa *xfrm.SA) {
				sa.Reqid = 1017
				sa.Sel = xfrm.SelectorFor(netip.MustParsePrefix("10.8.0.0/16"), netip.MustParsePrefix("10.9.0.0/16"))
			},
		},
		{
			name: "marks", add: tunnel + full, src: "192.0.2.9", dst: "203.0.113.9",
			change: func(m *xfrm.Migration) {
				m.Mark, m.OutputMark = &xfrm.Mark{Value: 0x11, Mask: 0xff}, &xfrm.Mark{Value: 1, Mask: 3}
			},
			want: func(sa *xfrm.SA) {
				sa.Mark, sa.OutputMark = xfrm.Mark{Value: 0x11, Mask: 0xff}, xfrm.Mark{Value: 1, Mask: 3}
			},
		},
		{
			name: "output mark removed", add: tunnel + full, src: "192.0.2.9", dst: "203.0.113.9",
			change:   func(m *xfrm.Migration) { m.OutputMark = &xfrm.Mark{} },
			want:     func(sa *xfrm.SA) { sa.OutputMark = xfrm.Mark{} },
			notified: func(m *xfrm.Migration) { m.OutputMark = nil },
		},
		{
			name: "encapsulation kept", add: inUDP, src: "192.0.2.9", dst: "203.0.113.9",
			notified: func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4501} },
		},
		{
			name: "encapsulation added", add: tunnel + " dir out", src: "192.0.2.9", dst: "203.0.113.9",
			change: func(m *xfrm.Migration) {
				m.Encap = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4502}
				m.NATKeepalive = ptr(uint32(20))
			},
			want: func(sa *xfrm.SA) {
				sa.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4502}
				sa.NATKeepalive = 20
			},
		},
		{
			name: "encapsulation removed", add: inUDP, src: "192.0.2.9", dst: "203.0.113.9",
			change: func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{} },
			want:   func(sa *xfrm.SA) { sa.Encap = xfrm.Encap{} },
		},
		{
			name: "mapping timer", add: inUDP, src: "192.0.2.9", dst: "203.0.113.9",
			change:   func(m *xfrm.Migration) { m.MTimer = ptr(uint32(30)) },
			want:     func(sa *xfrm.SA) { sa.MTimer = 30 },
			notified: func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: 4501} },
		},
		{
			name: "offload cleared where there is none", add: tunnel, src: "192.0.2.9", dst: "203.0.113.9",
			change: func(m *xfrm.Migration) { m.Flags = xfrm.ClearOffload },
		},
		{
			name: "host-to-host selector follows", add: host, src: "192.0.2.9", dst: "203.0.113.9",
			change:   func(m *xfrm.Migration) { m.Flags, m.NewSel = xfrm.UpdateH2HSelector, xfrm.Selector{} },
			want:     func(sa *xfrm.SA) { sa.Sel = hostToHost },
			notified: func(m *xfrm.Migration) { m.NewSel = hostToHost },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetNS(t)
			n.ip(c.add)
			before := n.sas()[0]
			monitor, err := xfrm.DialMonitor(n.fd(), xfrm.GroupMigrate, xfrm.GroupSA)
			if err != nil {
				t.Fatal(err)
			}
			defer monitor.Close()

			m := migrationOf(&before, c.src, c.dst)
			if c.change != nil {
				c.change(&m)
			}
			n.do(m.Request())

			sas := n.sas()
			if len(sas) != 1 {
				t.Fatalf("%d SAs, want 1", len(sas))
			}
			want := before
			want.ID, want.Src = m.Target(), m.NewSrc
			want.Mark = m.TargetMark()
			if c.want != nil {
				c.want(&want)
			}
			if diff := diffSA(want, sas[0]); diff != "" {
				t.Errorf("SA: -want +got\n%s", diff)
			}

			event, err := monitor.Next(time.Now().Add(5 * time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if c.notified != nil {
				c.notified(&m)
			}
			if diff := cmp.Diff(xfrm.Event{Type: xfrm.MsgMigrateState, Migration: &m}, event, cmp.AllowUnexported(xfrm.Selector{})); diff != "" {
				t.Errorf("notification: -want +got\n%s", diff)
			}
			if more, err := monitor.Next(time.Now()); err == nil {
				t.Errorf("one more notification: %+v", more)
			}
		})
	}
}

// hostToHost is the selector that the kernel derives: the old one's with the new addresses.
var hostToHost = xfrm.SelectorFor(netip.MustParsePrefix("192.0.2.9/32"), netip.MustParsePrefix("203.0.113.9/32"))

func TestMigrateRefused(t *testing.T) {
	const add, sa = "xfrm state add src 192.0.2.1 dst ", " proto esp spi 0x1001 reqid 1 mode tunnel " + gcm
	for _, c := range []struct {
		name   string
		change func(*xfrm.Migration)
		errno  unix.Errno
		reason string
	}{
		{"occupied", func(m *xfrm.Migration) {}, unix.EEXIST, "New SA tuple already occupied"},
		{"not there", func(m *xfrm.Migration) { m.ID.SPI++ }, unix.ESRCH, "Can not find state"},
		{"without SPI", func(m *xfrm.Migration) { m.ID.SPI = 0 }, unix.EINVAL, "Invalid SPI 0x0"},
		{"unknown flag", func(m *xfrm.Migration) { m.Flags = 0x10 }, unix.EINVAL, "Unknown flags: 0x10"},
		{
			"keepalive without encapsulation", func(m *xfrm.Migration) { m.NATKeepalive = ptr(uint32(5)) }, unix.EINVAL,
			"NAT_KEEPALIVE_INTERVAL requires encapsulation",
		},
		{
			"keepalive without direction", func(m *xfrm.Migration) {
				m.NewDst = xfrm.AddressFrom(netip.MustParseAddr("203.0.113.8"))
				m.Encap, m.NATKeepalive = &xfrm.Encap{Type: xfrm.EncapESPinUDP}, ptr(uint32(5))
			}, unix.EINVAL, "NAT keepalive is only supported for outbound SAs",
		},
		{
			"mapping timer without encapsulation", func(m *xfrm.Migration) { m.MTimer = ptr(uint32(5)) }, unix.EINVAL,
			"MTIMER_THRESH requires encapsulation",
		},
		{
			"encapsulation in TCP", func(m *xfrm.Migration) { m.Encap = &xfrm.Encap{Type: 7} }, unix.EINVAL,
			"Unsupported encapsulation type",
		},
		{
			"no host-to-host selector", func(m *xfrm.Migration) { m.Flags = xfrm.UpdateH2HSelector }, unix.EINVAL,
			"SA selector is not a single-host match for SA addresses",
		},
		{"no family", func(m *xfrm.Migration) { m.NewFamily = 0 }, unix.EINVAL, "Invalid address family"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetNS(t)
			n.ip(add + "203.0.113.9" + sa)
			n.ip(add + "203.0.113.1" + sa)
			before := n.sas()
			m := migrationOf(&before[0], "192.0.2.1", "203.0.113.9")
			if before[0].DstIP().String() != "203.0.113.1" {
				t.Fatalf("the first SA is %v", before[0].ID)
			}
			c.change(&m)
			err := n.conn.Do(m.Request())[0]
			var refusal *xfrm.Error
			if !errors.As(err, &refusal) || refusal.Errno != c.errno || refusal.Reason != c.reason {
				t.Errorf("got  %v\nwant %v: %s", err, c.errno, c.reason)
			}
			if diff := cmp.Diff(before, n.sas(), cmp.AllowUnexported(xfrm.Selector{})); diff != "" {
				t.Errorf("SAs: -before +after\n%s", diff)
			}
		})
	}
}
