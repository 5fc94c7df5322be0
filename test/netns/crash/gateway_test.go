//go:build lab

package crash

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// tunnels are as many as make a run long enough to be hit.
const tunnels = 20

// host is a gateway with manual tunnels, the program's state and its plan.
type host struct {
	ns          topo.Namespace
	state, plan string
}

// newGateway makes the network, with so many tunnels between its gateways, and returns the left one.
func newGateway(t *testing.T, tunnels int) *host {
	t.Helper()
	n, err := topo.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	all := childSAs(tunnels)
	install(t, topo.Left, all)
	for i := range all {
		all[i] = mirrored(all[i])
	}
	install(t, topo.Right, all)
	return newHost(t, topo.Left)
}

func newHost(t *testing.T, ns topo.Namespace) *host {
	g := &host{ns: ns, state: filepath.Join(t.TempDir(), "state")}
	g.plans(t, "")
	return g
}

// plans has the gateway move away from ISP A, with more keys at the plan's end.
func (g *host) plans(t *testing.T, more string) {
	t.Helper()
	g.plan = filepath.Join(t.TempDir(), "plan.yaml")
	text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: crash}\nrenumber: [{from: %v, to: %v}]\nike: {follow: none}\n%s",
		topo.LeftISPA, topo.LeftISPB, more)
	if err := os.WriteFile(g.plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// childSAs are the left gateway's, one to each of the addresses of flows. Every second one has a younger policy of equal
// priority over its traffic that lets it pass in the clear. If a policy of the tunnel's lost its place in the order of
// age for one instant, the captures would show that. Half of these have the priority that no block outranks.
func childSAs(tunnels int) []xfrmtest.ChildSA {
	all := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: tunnels, Local: topo.LeftISPA, Remote: topo.RightISP, SPIInTemplate: true, Dir: true})
	for i := range all {
		c := &all[i]
		for j := range c.Policies {
			p := &c.Policies[j]
			p.Sel = selector(i, p.Sel.Family, p.Dir == xfrm.DirOut)
			if i%4 == 3 {
				p.Priority = 0
			}
		}
		if !tied(i) {
			continue
		}
		for _, p := range c.Policies {
			if p.Dir != xfrm.DirOut {
				continue
			}
			p.Templates = nil
			if i%8 < 4 { // in another hash chain
				p.Sel.SrcLen = 8
			} else { // in the same one
				p.Sel.Proto = 17
			}
			c.Policies = append(c.Policies, p)
		}
	}
	return all
}

// tied tells whether the order of age decides about the traffic of a tunnel.
func tied(i int) bool { return i%2 == 1 }

// selector is what the tunnel of a number carries.
func selector(i int, family xfrm.Family, out bool) xfrm.Selector {
	local, remote := netip.MustParsePrefix("10.1.0.0/24"), netip.PrefixFrom(client(i, false), 32)
	if family == xfrm.FamilyOf(topo.RightISP6) {
		local, remote = netip.MustParsePrefix("fd01::/64"), netip.PrefixFrom(client(i, true), 128)
	}
	if out {
		return xfrm.SelectorFor(local, remote)
	}
	return xfrm.SelectorFor(remote, local)
}

// mirrored is a Child SA as the peer has it.
func mirrored(c xfrmtest.ChildSA) xfrmtest.ChildSA {
	m := xfrmtest.ChildSA{In: c.Out, Out: c.In, InAlg: c.OutAlg, OutAlg: c.InAlg}
	m.In.Dir, m.Out.Dir = xfrm.SADirIn, xfrm.SADirOut
	m.In.Window, m.Out.Window = c.In.Window, 0
	add := func(p xfrm.Policy, dir xfrm.Dir) {
		p.Dir = dir
		p.Templates = append([]xfrm.Template(nil), p.Templates...)
		p.Templates[0].SPI = 0
		m.Policies = append(m.Policies, p)
	}
	for _, p := range c.Policies {
		switch {
		case len(p.Templates) == 0:
		case p.Dir == xfrm.DirOut:
			add(p, xfrm.DirIn)
			add(p, xfrm.DirFwd)
		case p.Dir == xfrm.DirIn:
			add(p, xfrm.DirOut)
		}
	}
	return m
}

func install(t *testing.T, ns topo.Namespace, all []xfrmtest.ChildSA) {
	t.Helper()
	err := ns.Enter(func() error {
		c, err := xfrm.Dial(0)
		if err != nil {
			return err
		}
		defer c.Close()
		return xfrmtest.Install(c, all...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (g *host) command(args ...string) *exec.Cmd {
	return exec.Command(topo.Program, append(args, "--netns", string(g.ns), "--state-dir", g.state)...)
}

// apply starts the program and kills it at the given time after its first event. With a negative time it lets it come to its end.
// It returns how long that took from the first event to the last.
func (g *host) apply(t *testing.T, kill time.Duration) time.Duration {
	t.Helper()
	cmd := g.command("apply", g.plan, "--yes", "--output", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var begun, ended time.Time
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if begun.IsZero() && strings.Contains(lines.Text(), `"run-started"`) {
			begun = time.Now()
			if kill >= 0 {
				time.AfterFunc(kill, func() { cmd.Process.Kill() })
			}
		}
		if strings.Contains(lines.Text(), `"run-ended"`) {
			ended = time.Now()
		}
	}
	err = cmd.Wait()
	if begun.IsZero() || kill < 0 && err != nil {
		t.Fatalf("apply: %v\n%s", err, stderr.String())
	}
	return ended.Sub(begun)
}

// program runs the program and returns its output.
func (g *host) program(t *testing.T, code int, args ...string) string {
	t.Helper()
	got, err := topo.Finish(g.command(args...))
	if err != nil || got.Code != code {
		t.Fatalf("%s: exit status %d, %v; want %d\n%s", strings.Join(args, " "), got.Code, err, code, got.Output)
	}
	return got.Output
}

func (g *host) snap(t *testing.T) topo.Snapshot {
	t.Helper()
	s, err := topo.Snap(g.ns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *host) same(t *testing.T, want topo.Snapshot, when string) {
	t.Helper()
	if err := g.snap(t).SameUnderTraffic(want); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}
