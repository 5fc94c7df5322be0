//go:build lab

package inventory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// blocked reports whether a packet to the address meets a block policy.
func (n *netns) blocked(to string) bool {
	n.t.Helper()
	blocked := false
	err := topo.Namespace(n.Name).Enter(func() error {
		c, err := net.Dial("udp", net.JoinHostPort(to, "9"))
		if err == nil {
			defer c.Close()
			_, err = c.Write([]byte("x"))
		}
		blocked = errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EPERM)
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return blocked
}

func (n *netns) indexes() (all []uint32) {
	n.t.Helper()
	ps, err := n.conn.Policies()
	if err != nil {
		n.t.Fatal(err)
	}
	for i := range ps {
		all = append(all, ps[i].Index>>3)
	}
	return all
}

// TestDumpIsInOrderOfAge: what plan.Compute takes the order of the dump for.
func TestDumpIsInOrderOfAge(t *testing.T) {
	n := newNetNS(t)
	n.ip(`
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100
		xfrm policy add src 10.1.0.0/24 dst 10.3.0.0/24 dir out priority 100
		xfrm policy add src 10.1.0.0/24 dst 10.4.0.0/24 dir out priority 7`)
	if got, want := n.indexes(), []uint32{2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("dumped: indexes %v, want %v: the youngest first, whatever the priority", got, want)
	}
	n.ip(`xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100`)
	if got, want := n.indexes(), []uint32{0, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("dumped after an update: indexes %v, want %v: it is the youngest and keeps its index", got, want)
	}
}

// link gives the namespace an interface that takes packets from 10.1.0.1 to anywhere. Policies don't count on lo.
const link = `
	link add out type dummy
	addr add 10.1.0.1/24 dev out
	link set out up
	route add default dev out
`

// TestWhichOfEqualPriorityWins is what the ways of rewriting a policy do to the order of age. Two policies of priority
// 100 match a packet from 10.1.0.1 to 10.2.0.1, and the older one blocks it. A replaced policy (UPDPOLICY) keeps its
// place in its hash chain, which counts among policies of one chain, and is the youngest all the same against policies
// of other chains. Deleted and added again it is the youngest everywhere.
func TestWhichOfEqualPriorityWins(t *testing.T) {
	replace := func(ps ...*xfrm.Policy) (reqs []xfrm.Request) {
		for _, p := range ps {
			reqs = append(reqs, xfrm.UpdatePolicy(p))
		}
		return reqs
	}
	readd := func(p *xfrm.Policy) []xfrm.Request { return []xfrm.Request{xfrm.DeletePolicy(p), xfrm.NewPolicy(p)} }
	const older = "src 10.1.0.0/24 dst 10.2.0.0/24"
	for _, chain := range []struct {
		name, younger     string
		replaced, readded bool // whether the older one still wins
	}{
		{"in one chain", older + " proto 17", true, false},
		{"in two chains", "src 10.0.0.0/8 dst 10.0.0.0/8", false, false},
	} {
		for _, tc := range []struct {
			name    string
			rewrite func(older, younger *xfrm.Policy) []xfrm.Request
			want    bool
		}{
			{"as added", func(_, _ *xfrm.Policy) []xfrm.Request { return nil }, true},
			{"older one replaced", func(p, _ *xfrm.Policy) []xfrm.Request { return replace(p) }, chain.replaced},
			{"older one deleted and added", func(p, _ *xfrm.Policy) []xfrm.Request { return readd(p) }, chain.readded},
			{"both replaced in order", func(p, q *xfrm.Policy) []xfrm.Request { return replace(p, q) }, true},
			{"both deleted and added in order", func(p, q *xfrm.Policy) []xfrm.Request { return append(readd(p), readd(q)...) }, true},
			{"older one deleted and added, then both replaced in order",
				func(p, q *xfrm.Policy) []xfrm.Request { return append(readd(p), replace(p, q)...) }, chain.name != "in one chain"},
		} {
			t.Run(chain.name+"/"+tc.name, func(t *testing.T) {
				n := newNetNS(t)
				n.ip(link)
				n.ip(fmt.Sprintf("xfrm policy add %s dir out priority 100 action block\nxfrm policy add %s dir out priority 100", older, chain.younger))
				ps, err := n.conn.Policies()
				if err != nil {
					t.Fatal(err)
				}
				n.do(tc.rewrite(&ps[1], &ps[0])...)
				if got := n.blocked("10.2.0.1"); got != tc.want {
					t.Errorf("the older one wins: %v, want %v", got, tc.want)
				}
			})
		}
	}
}

func (n *netns) do(reqs ...xfrm.Request) {
	n.t.Helper()
	if err := errors.Join(n.conn.Do(reqs...)...); err != nil {
		n.t.Fatal(err)
	}
}

// TestApplyKeepsWhoWins moves an SA whose policy is older than a block policy of its priority over the same packets,
// there and back.
func TestApplyKeepsWhoWins(t *testing.T) {
	for _, priority := range []int{0, 100} {
		for _, younger := range []string{"src 10.1.0.0/24 dst 10.2.0.0/24 proto 17", "src 10.0.0.0/8 dst 10.0.0.0/8"} {
			t.Run(fmt.Sprintf("priority %d/%s", priority, younger), func(t *testing.T) {
				n := newNetNS(t)
				n.ip(link)
				n.ip(keys.Replace(fmt.Sprintf(`
					xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 14 mode tunnel AEAD
					xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority %[1]d tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 14 mode tunnel
					xfrm policy add %[2]s dir out priority %[1]d action block`, priority, younger)))
				if n.blocked("10.2.0.1") {
					t.Fatal("the younger one wins before anything is done")
				}
				doc := document("192.0.2.0/24", "198.51.100.0/24")
				n.apply(doc)
				if n.blocked("10.2.0.1") {
					t.Error("moved, and the younger one wins")
				}
				n.apply(reversed(doc))
				if n.blocked("10.2.0.1") {
					t.Error("moved back, and the younger one wins")
				}
			})
		}
	}
}

// TestRollbackKeepsWhoWins moves a tied group and has a second group fail, so that the first is taken back.
func TestRollbackKeepsWhoWins(t *testing.T) {
	for _, younger := range []string{"src 10.1.0.0/24 dst 10.2.0.0/24 proto 17", "src 10.0.0.0/8 dst 10.0.0.0/8"} {
		t.Run(younger, func(t *testing.T) {
			n := newNetNS(t)
			n.ip(link)
			n.ip(keys.Replace(fmt.Sprintf(`
				xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 reqid 14 mode tunnel AEAD
				xfrm state add src 192.0.2.1 dst 203.0.113.2 proto esp spi 0x1002 reqid 15 mode tunnel AEAD
				xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp reqid 14 mode tunnel
				xfrm policy add %s dir out priority 100 action block`, younger)))
			before := n.meaning()
			p := plan.Compute(document("192.0.2.0/24", "198.51.100.0/24"), n.inventory())
			n.ip("xfrm state delete src 192.0.2.1 dst 203.0.113.2 proto esp spi 0x1002")
			n.ip(keys.Replace("xfrm state add src 192.0.2.1 dst 203.0.113.2 proto ah spi 0x1002 reqid 15 mode tunnel AUTH"))
			report, err := executor.Run(context.Background(), p, executor.Config{
				Conn: n.conn, Journal: noJournal{}, Emit: func(executor.Event) {}, Run: t.Name(), OnError: plan.OnErrorRollback,
			})
			if err == nil {
				t.Fatalf("the second group did not fail: %+v", report)
			}
			if n.blocked("10.2.0.1") {
				t.Error("taken back, and the younger one wins")
			}
			if after := n.meaning(); strings.Count(after, "198.51.100.1") != 0 {
				t.Errorf("not taken back\n--- before\n%s\n--- after\n%s", before, after)
			}
		})
	}
}
