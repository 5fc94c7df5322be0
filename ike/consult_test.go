package ike

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// planned is a plan that moves n tunnels, and what charon says of the first of them.
func planned(t *testing.T, n int, doc *plan.Document) (*plan.Plan, tree) {
	t.Helper()
	k := xfrmtest.New()
	c := k.Dial()
	defer c.Close()
	tunnels := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: n, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Dir: true})
	if err := xfrmtest.Install(c, tunnels...); err != nil {
		t.Fatal(err)
	}
	sas, err := c.SAs()
	if err != nil {
		t.Fatal(err)
	}
	policies, err := c.Policies()
	if err != nil {
		t.Fatal(err)
	}
	doc.Renumber = []plan.Renumber{{From: netip.MustParsePrefix("192.0.2.1/32"), To: netip.MustParsePrefix("198.51.100.1/32")}}
	doc.Waves = []plan.WaveSpec{{Name: "all", Percent: 100}}
	p := plan.Compute(doc, &plan.Inventory{SAs: sas, Policies: policies})
	own := saOf("site", "lan", "1", "192.0.2.1", "203.0.113.1", "yes", 0)
	child := own[0].value.(tree)[5].value.(tree)[0].value.(tree)
	for i := range child {
		switch child[i].key {
		case "spi-in":
			child[i].value = fmt.Sprintf("%08x", uint32(tunnels[0].In.ID.SPI))
		case "spi-out":
			child[i].value = fmt.Sprintf("%08x", uint32(tunnels[0].Out.ID.SPI))
		case "reqid":
			child[i].value = fmt.Sprint(tunnels[0].In.Reqid)
		}
	}
	return p, own
}

// TestConsult has what is refused, and what is asked of whom.
func TestConsult(t *testing.T) {
	const follows, none, unsaid = plan.FollowReestablish, plan.FollowNone, plan.FollowUnsaid
	for _, tt := range []struct {
		name       string
		tunnels    int
		follow     plan.Follow
		onExist    plan.OnExist
		acceptLoss bool
		dead       bool // the daemon closes every connection
		absent     bool // there is none
		conns      []tree
		want       []plan.Slug
		silent     bool // nobody is asked anything
		moves      int
	}{
		{name: "nothing is said and a daemon owns one", tunnels: 2, follow: unsaid, want: []plan.Slug{plan.SlugOwned}},
		{name: "nothing is said and the daemon can't be understood", tunnels: 1, follow: unsaid, dead: true, want: []plan.Slug{plan.SlugUnanswered}},
		{name: "the operator sees to it", tunnels: 1, follow: none, silent: true},
		{name: "the operator sees to it, the daemon can't be understood", tunnels: 1, follow: none, dead: true, silent: true},
		{name: "it follows", tunnels: 1, follow: follows, conns: []tree{oldConn, newConn}, moves: 1},
		{name: "it follows with one of two, the other is nobody's", tunnels: 2, follow: follows, conns: []tree{oldConn, newConn}, moves: 1},
		{name: "it can't follow", tunnels: 1, follow: follows, conns: []tree{oldConn}, want: []plan.Slug{plan.SlugNoSuccessor}, moves: 1},
		{name: "it can't be understood", tunnels: 1, follow: follows, dead: true, want: []plan.Slug{plan.SlugUnanswered}},
		{name: "it sets up what is lost", tunnels: 1, follow: none, onExist: plan.OnExistReestablish, conns: []tree{oldConn, newConn}, moves: 1},
		{name: "what is nobody's would be lost", tunnels: 2, follow: none, onExist: plan.OnExistReestablish, conns: []tree{oldConn, newConn},
			want: []plan.Slug{plan.SlugUnowned}, moves: 1},
		{name: "and may be", tunnels: 2, follow: none, onExist: plan.OnExistReestablish, acceptLoss: true, conns: []tree{oldConn, newConn}, moves: 1},
		{name: "no daemon runs that could set it up", tunnels: 1, follow: none, onExist: plan.OnExistReestablish, absent: true, silent: true,
			want: []plan.Slug{plan.SlugUnowned}},
		{name: "no daemon runs, and it may be lost", tunnels: 1, follow: none, onExist: plan.OnExistReestablish, acceptLoss: true, absent: true, silent: true},
		{name: "nothing is said of following, no daemon runs, and it may be lost", tunnels: 1, onExist: plan.OnExistReestablish, acceptLoss: true, absent: true, silent: true},
		{name: "the one that is to follow doesn't run", tunnels: 1, follow: follows, onExist: plan.OnExistReestablish, acceptLoss: true, absent: true, silent: true,
			want: []plan.Slug{plan.SlugUnanswered}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := &plan.Document{IKE: plan.IKE{Follow: tt.follow}, OnExist: tt.onExist}
			p, own := planned(t, tt.tunnels, doc)
			c := startCharon(t, func(command string, _ tree) reply {
				switch {
				case tt.dead:
					return reply{drop: true}
				case command == "list-sas":
					return reply{event: "list-sa", events: []tree{own}}
				}
				return reply{event: "list-conn", events: tt.conns}
			})
			doc.Reestablish = plan.Reestablish{Driver: plan.DriverVICI, Socket: c.socket, Timeout: time.Minute, AcceptLoss: tt.acceptLoss}
			if tt.absent {
				doc.Reestablish.Socket += ".none"
			}
			part, err := Consult(t.Context(), doc, p)
			if err != nil {
				t.Fatal(err)
			}
			var got []plan.Slug
			for _, r := range p.Refusals {
				got = append(got, r.Slug)
				if r.Hint == "" || strings.HasSuffix(r.Hint, ".") || strings.HasSuffix(r.Reason, ".") {
					t.Errorf("%v: hint %q: want one, and no full stop", r, r.Hint)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("refused for %v, want %v\n%v", got, tt.want, p.Refusals)
			}
			moves := 0
			if part != nil {
				for _, m := range part.Moves {
					moves += len(m)
				}
			}
			if moves != tt.moves {
				t.Errorf("the daemon has a part in %d Child SAs, want %d", moves, tt.moves)
			}
			if asked := c.all(); len(asked) != 0 == tt.silent || len(c.commands()) != 0 {
				t.Errorf("it was asked %q", asked)
			}
		})
	}
}

// TestEachTrafficIsSetUp: Child SAs of one child that carry different traffic, or are on different interfaces, are set up one by one, also where they are one group.
func TestEachTrafficIsSetUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*ChildSA)
		want   int
	}{
		{"the same while it is rekeyed", func(*ChildSA) {}, 1},
		{"other traffic", func(c *ChildSA) { c.RemoteTS = []string{"10.3.0.0/24"} }, 2},
		{"another interface", func(c *ChildSA) { c.IfIDIn, c.IfIDOut = 2, 2 }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := planned(t, 1, &plan.Document{})
			inbound, outbound := siteUp, siteUp
			outbound.In, outbound.Out = 3, 4
			tt.change(&outbound)
			moves := movesOf(p, &p.Groups[0], func(c *plan.Call) (ChildSA, bool) {
				if c.Dir == xfrm.SADirIn {
					return inbound, true
				}
				return outbound, true
			})
			if len(moves) != tt.want {
				t.Errorf("%d moves, want %d: %+v", len(moves), tt.want, moves)
			}
		})
	}
}

// TestPerCPUIsRefused by those daemons that are led; a program knows what it does.
func TestPerCPUIsRefused(t *testing.T) {
	p, _ := planned(t, 1, &plan.Document{})
	owner := func(*plan.Call) (ChildSA, bool) { return siteUp, true }
	if m := movesOf(p, &p.Groups[0], owner)[0]; m.single() != nil {
		t.Error(m.single())
	}
	p.Groups[0].Calls[1].SA.CPU = 1
	m := movesOf(p, &p.Groups[0], owner)[0]
	_, v := playing(t, func() []tree { return []tree{oldSA} }, []tree{oldConn, newConn}, nil)
	l, _ := pluto(t, nil)
	for _, d := range []Driver{v, l} {
		if err := d.Check(within(t, 5*time.Second), &m); err == nil || !strings.Contains(err.Error(), "per-CPU") {
			t.Errorf("%v: %v", d, err)
		}
	}
	if err := NewCommand([]string{"/bin/true"}).Check(within(t, 5*time.Second), &m); err != nil {
		t.Error(err)
	}
}
