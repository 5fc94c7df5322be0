//go:build lab

package scenario

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// stopped does something while a run does not see it: its process is stopped, as a machine that is starved or frozen would have it.
func (r *waved) stopped(t *testing.T, do func()) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer r.cmd.Process.Signal(syscall.SIGCONT)
	if err := topo.Until(10*time.Second, func() (bool, error) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ") // behind the name
		return strings.HasPrefix(state, "T"), err
	}); err != nil {
		t.Fatalf("it has not stopped: %v", err)
	}
	do()
}

// TestOverrunOfNotificationsIsNoticed stops a run between its waves and fills the socket by which it hears of SAs, until the kernel throws away what does not
// fit. What is lost among the rest: an SA of the tunnel that has moved is deleted, and one comes up at the old addresses.
func TestOverrunOfNotificationsIsNoticed(t *testing.T) {
	build(t)
	manual(t, peers)
	g := gate{t.TempDir()}
	r := start(t, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check())
	g.reached(t)
	r.stopped(t, func() {
		flood(t)
		before := lostNotices(t)
		deleteSA(t, topo.LeftISPB.String(), peers[0], "0x00001000")
		if err := topo.Left.IP(fmt.Sprintf("xfrm state add src 192.0.2.1 dst %s proto esp spi 0x7777 reqid 2 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128 dir out\n",
			peers[1], newKey())); err != nil {
			t.Fatal(err)
		}
		if now := lostNotices(t); now != before+2 {
			t.Fatalf("%d notifications are lost, want the %d of before and two more", now, before)
		}
	})
	g.open(t)
	got := r.end(t)
	expect(t, got, 0)
	there(t, []string{"SA 00007777 198.51.100.1 > 203.0.113.2", "SA 00001001 198.51.100.1 > 203.0.113.2"}, []string{"SA 00001000"})
	if text := strings.Join(reportOf(t, r).Groups[0].Problems, "\n"); !strings.Contains(text, "0x00001000 to 203.0.113.1 was deleted by its owner") {
		t.Errorf("the report says of the first tunnel %q\n%s", text, got.Output)
	}
}

// TestPolicyThatGaveItsPlaceToAnotherIsMissed replaces a policy of the tunnel that has moved by one of somebody else's while the run does not look: the number
// of policies is the same.
func TestPolicyThatGaveItsPlaceToAnotherIsMissed(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	g := gate{t.TempDir()}
	r := start(t, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check())
	g.reached(t)
	r.stopped(t, func() {
		if err := topo.Left.IP("xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out\n" +
			"xfrm policy add src 10.9.0.0/24 dst 10.8.0.0/24 dir out priority 1000\n"); err != nil {
			t.Fatal(err)
		}
	})
	g.open(t)
	got := r.end(t)
	expect(t, got, 7, "deleted by somebody else", "2 undone")
	after := snap(t)
	after.Policies = slices.DeleteFunc(after.Policies, func(p topo.Policy) bool { return p.Selector == "src 10.9.0.0/24 dst 10.8.0.0/24" })
	if err := after.Same(before); err != nil {
		t.Errorf("%v\n%s", err, got.Output)
	}
}

// flood updates an SA of somebody else's until a notification is lost. Its key is long, for the notifications to be large: half as many fill the socket.
func flood(t *testing.T) {
	t.Helper()
	ns, err := host.Open(string(topo.Left))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	conn, err := ns.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sa := xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(topo.RightISP), SPI: 0x10000, Family: xfrm.FamilyIPv4, Proto: xfrm.ProtoAH},
		Src: xfrm.AddressFrom(topo.RightISP), Limits: xfrm.NoLimits, Mode: xfrm.ModeTransport, CPU: xfrm.AnyCPU,
	}
	alg := xfrmtest.Algorithms{Auth: &xfrmtest.Algorithm{Name: "hmac(sha256)", Key: make([]byte, 240), ICV: 128}}
	if err := xfrmtest.AddSA(conn, sa, alg); err != nil {
		t.Fatal(err)
	}
	const batch, most = 256, 20_000
	for n := batch; n < most; n += batch {
		reqs := slices.Repeat([]xfrm.Request{xfrmtest.UpdateSA(sa, alg)}, batch)
		if err := errors.Join(conn.Do(reqs...)...); err != nil {
			t.Fatal(err)
		}
		if lostNotices(t) > 0 {
			t.Logf("after %d updates", n)
			return
		}
	}
	t.Fatalf("%d notifications and none is lost", most)
}

// lostNotices is how many notifications of SAs the kernel has not delivered to the one who listens to them on the left gateway.
func lostNotices(t *testing.T) (n int) {
	t.Helper()
	out, err := topo.Left.Run("cat", "/proc/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; Eth is the family, NETLINK_XFRM, Groups has a bit for each.
	found := 0
	for line := range strings.Lines(out) {
		var sk, dump string
		var family, pid, groups, rmem, wmem, locks, drops int
		if k, _ := fmt.Sscanf(line, "%s %d %d %x %d %d %s %d %d", &sk, &family, &pid, &groups, &rmem, &wmem, &dump, &locks, &drops); k != 9 || family != syscall.NETLINK_XFRM {
			continue
		}
		if groups&(1<<(groupSA-1)) != 0 {
			found++
			n = drops
		}
	}
	if found != 1 {
		t.Fatalf("%d sockets listen to SAs, want one:\n%s", found, out)
	}
	return n
}

// groupSA is XFRMNLGRP_SA.
const groupSA = 3
