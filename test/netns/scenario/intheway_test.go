//go:build lab

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// inTheWay is what a daemon's configuration may have in it that a move has to get along with.
type inTheWay struct {
	name     string
	settings string       // of both connections
	children []topo.Child // of both connections
	more     string       // of the plan
	route    bool         // the gateways route the clients' packets through XFRM interfaces
	pings    []string     // what the left client pings all the time
}

const (
	leftNet4   = "10.1.0.0/24"
	rightNet4  = "10.2.0.0/24"
	leftNet6   = "fd01::/64"
	rightNet6  = "fd02::/64"
	ifID       = 42
	xfrmDevice = "ipsec0"
)

func lan(settings string) []topo.Child {
	return []topo.Child{{Name: "lan", Left: leftNet4 + "," + leftNet6, Right: rightNet4 + "," + rightNet6, Settings: settings}}
}

var bothClients = []string{topo.Client4, topo.Client6}

var casesInTheWay = []inTheWay{
	{name: "trap policies", children: lan("start_action = trap"), pings: bothClients},
	{name: "dead peer detection", settings: "dpd_delay = 1s", children: lan("dpd_action = restart"), pings: bothClients},
	{name: "MOBIKE", settings: "mobike = yes", children: lan(""), pings: bothClients},
	{name: "route-based with XFRM interfaces", children: lan(fmt.Sprintf("if_id_in = %d\nif_id_out = %d", ifID, ifID)), route: true, pings: bothClients},
	{name: "transport mode", children: []topo.Child{{Name: "hosts", Left: "dynamic[icmp]", Right: "dynamic[icmp]", Settings: "mode = transport"}},
		more: "overrides: [{match: {mode: transport}, set: {selector: host-to-host}}]"},
	{name: "IPComp", children: []topo.Child{{Name: "four", Left: leftNet4, Right: rightNet4, Settings: "ipcomp = yes"}}, pings: []string{topo.Client4}},
	{name: "forced NAT traversal", settings: "encap = yes", children: lan(""), pings: bothClients},
	{name: "several Child SAs in an IKE SA", children: []topo.Child{
		{Name: "four", Left: leftNet4, Right: rightNet4}, {Name: "six", Left: leftNet6, Right: rightNet6},
	}, pings: bothClients},
}

// TestDaemonsInTheWay has strongSwan follow with all that its configuration may have in it. All cases share two charons.
func TestDaemonsInTheWay(t *testing.T) {
	n := build(t)
	if err := n.StartCharon(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range casesInTheWay[:thin(1, len(casesInTheWay))] {
		ok := t.Run(tt.name, func(t *testing.T) { tt.run(t, n) })
		if !ok {
			dump(t, n)
		}
	}
}

func (c inTheWay) run(t *testing.T, n *topo.Network) {
	if c.route {
		routeThroughInterfaces(t)
	}
	c.up(t, n)
	defer c.down(t, n)
	var pings []*topo.Ping
	for _, to := range c.pings {
		p, err := topo.StartPing(to)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		pings = append(pings, p)
	}
	answered(t, pings, "before")
	for _, ns := range topo.Gateways {
		expect(t, applyPlan(t, n, ns, ikePlan(t, n, ns, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}\n"+c.more)), 0)
	}
	answered(t, pings, "afterwards")
	c.agree(t, n)
	for _, child := range c.children {
		if _, err := n.Swanctl(topo.Right, "--rekey", "--child", child.Name); err != nil {
			t.Error(err)
		}
	}
	c.agree(t, n)
	answered(t, pings, "after a rekey")
	if len(pings) == 0 {
		if _, err := topo.Left.Run("ping", "-c", "3", "-W", "10", "-I", topo.LeftISPB.String(), topo.RightISP.String()); err != nil {
			t.Error(err)
		}
	}
	for _, p := range pings {
		lost, gap := topo.Interruption(p.Stop())
		t.Logf("%s: %d lost, at most %v without", p.To, lost, gap)
	}
}

// up brings up all Child SAs at the old addresses.
func (c inTheWay) up(t *testing.T, n *topo.Network) {
	t.Helper()
	c.load(t, n)
	for _, child := range c.children {
		if _, err := n.Swanctl(topo.Left, "--initiate", "--ike", "site", "--child", child.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// load loads the tunnel at the old addresses and its successor.
func (c inTheWay) load(t *testing.T, n *topo.Network) {
	t.Helper()
	at := func(name string, left fmt.Stringer) topo.Tunnel {
		tunnel := topo.Tunnel{Name: name, Left: topo.LeftISPA, Right: topo.RightISP, Settings: c.settings, Children: c.children}
		if left == topo.LeftISPB {
			tunnel.Left = topo.LeftISPB
		}
		return tunnel
	}
	next := at(successor, topo.LeftISPB)
	next.Children = slices.Clone(next.Children)
	for i := range next.Children { // the operator adds them when the old connection goes
		next.Children[i].Settings = strings.ReplaceAll(next.Children[i].Settings, "start_action = trap", "")
	}
	if err := n.LoadTunnels(at("site", topo.LeftISPA), next); err != nil {
		t.Fatal(err)
	}
}

// down takes everything down for the next case, and makes sure that nothing is left of this one.
func (c inTheWay) down(t *testing.T, n *topo.Network) {
	t.Helper()
	if err := n.LoadTunnels(); err != nil {
		t.Error(err)
	}
	for _, ns := range topo.Gateways {
		for _, name := range []string{"site", successor} {
			// It says so if there is none.
			_, _ = n.Swanctl(ns, "--terminate", "--ike", name, "--force", "--timeout", "2")
		}
	}
	for _, ns := range topo.Gateways {
		err := topo.Until(20*time.Second, func() (bool, error) {
			s, err := topo.Snap(ns)
			return len(s.SAs) == 0 && len(s.Policies) == 0, err
		})
		if err != nil {
			s, _ := topo.Snap(ns)
			t.Errorf("left behind on %s: %v\n%+v\n%v", ns, err, s.SAs, s.Policies)
			if _, err := ns.Run("sh", "-c", "ip xfrm state flush; ip xfrm policy flush"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// agree makes sure that the daemons list exactly the ESP SAs that the kernels have, and that nothing has the old address.
func (c inTheWay) agree(t *testing.T, n *topo.Network) {
	t.Helper()
	gone := topo.LeftISPA.String()
	for _, ns := range topo.Gateways {
		var listed string
		var s topo.Snapshot
		err := topo.Until(60*time.Second, func() (bool, error) {
			var err error
			if listed, err = n.Swanctl(ns, "--list-sas", "--raw"); err != nil {
				return false, err
			}
			if s, err = topo.Snap(ns); err != nil {
				return false, err
			}
			esp := slices.DeleteFunc(slices.Clone(s.SAs), func(sa topo.SA) bool { return !strings.Contains(sa.Fixed, "proto esp") })
			return slices.Equal(spisOf(listed), spisIn(esp)) && len(esp) == 2*len(c.children) && !strings.Contains(listed, gone), nil
		})
		if err != nil {
			t.Errorf("%s: the daemon and the kernel don't agree: %v\n%s\n%+v", ns, err, listed, s.SAs)
		}
		for _, sa := range s.SAs {
			if sa.Src.String() == gone || sa.Dst.String() == gone {
				t.Errorf("%s: an SA %v > %v", ns, sa.Src, sa.Dst)
			}
		}
		for _, p := range s.Policies {
			if strings.Contains(p.Template, gone) || p.Action != "allow" || p.UID != 0 || p.Template == "" {
				t.Errorf("%s: policy %v", ns, p)
			}
		}
	}
}

func answered(t *testing.T, pings []*topo.Ping, when string) {
	t.Helper()
	for _, p := range pings {
		if err := p.Answered(10, 30*time.Second); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
}

// routeThroughInterfaces has both gateways route to the other's clients through an XFRM interface until the test ends.
func routeThroughInterfaces(t *testing.T) {
	t.Helper()
	for ns, far := range map[topo.Namespace][2]string{topo.Left: {rightNet4, rightNet6}, topo.Right: {leftNet4, leftNet6}} {
		err := ns.IP(fmt.Sprintf("link add %[1]s type xfrm if_id %[2]d\nlink set %[1]s up\nroute add %[3]s dev %[1]s\nroute add %[4]s dev %[1]s\n",
			xfrmDevice, ifID, far[0], far[1]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ns.IP("link del " + xfrmDevice + "\n"); err != nil {
				t.Error(err)
			}
		})
	}
}
