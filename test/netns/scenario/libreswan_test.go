//go:build lab

package scenario

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

const overlap = "overlapip=yes"

// plutoPlan is ikePlan for a gateway with libreswan.
func plutoPlan(t *testing.T, n *topo.Network, ns topo.Namespace, from, to fmt.Stringer, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.yaml")
	text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
		"reestablish: {driver: libreswan, socket: %s}\n%s\n", from, to, n.ControlSocket(ns), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// plutos starts libreswan in both gateways with a tunnel that is up.
func plutos(t *testing.T) *topo.Network {
	t.Helper()
	n := build(t)
	if err := n.StartLibreswan(overlap); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Whack(topo.Left, "--initiate", "--name", "site"); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, n.PlutoLog(topo.Left))
	}
	return n
}

// observePlutos watches IPv4, which is all that the tunnel carries. Packets may ask for an SA: when a connection goes, pluto leaves a policy that makes the
// next packet bring up another.
func observePlutos(t *testing.T, n *topo.Network, move func()) {
	t.Helper()
	observePlutosBut(t, n, topo.MoveISPChange, "nothing", move)
}

// observePlutosBut is observePlutos for another move, and without some checks.
func observePlutosBut(t *testing.T, n *topo.Network, m topo.Move, but string, move func()) {
	t.Helper()
	w, err := n.Watch(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	move()
	o, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range o.ChecksWithDaemon(m) {
		if !strings.Contains(c.What, but) && !strings.Contains(c.What, "IPv6") && !strings.Contains(c.What, "ACQUIRE") {
			report(t, c)
		}
	}
}

// TestLibreswanOwnsItsSAs has what keeps a plan from being applied to libreswan's SAs, and moves them with the operator's word that he sees to pluto, to the
// other ISP and back.
func TestLibreswanOwnsItsSAs(t *testing.T) {
	n := plutos(t)
	before := snap(t)
	refused := func(more string, says ...string) {
		t.Helper()
		expect(t, applyPlan(t, n, topo.Left, plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, more)), 5, says...)
	}
	refused("", "ike-owned", "libreswan at", "site", "follow: none")
	refused("ike: {follow: reestablish}", "ike-no-successor", "198.51.100.1")
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	refused("ike: {follow: reestablish}", "ike-no-successor", "overlapip=yes")
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
	observePlutos(t, n, func() {
		for _, way := range [][2]fmt.Stringer{{topo.LeftISPA, topo.LeftISPB}, {topo.LeftISPB, topo.LeftISPA}} {
			for _, ns := range topo.Gateways {
				expect(t, applyPlan(t, n, ns, plutoPlan(t, n, ns, way[0], way[1], "ike: {follow: none}")), 0)
			}
		}
	})
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

func dumpPlutos(t *testing.T, n *topo.Network) {
	t.Helper()
	for _, ns := range topo.Gateways {
		log := n.PlutoLog(ns)
		if at := strings.Index(log, `"site": added`); at > 0 {
			log = log[at:]
		}
		states, _ := n.Whack(ns, "--showstates")
		spd, _ := ns.Run("ip", "-o", "xfrm", "policy", "list", "dir", "out")
		t.Logf("pluto of %s:\n%s\n%s\n%s", ns, log, states, spd)
	}
}

// TestLibreswanFollowsUnderTraffic has pluto on both gateways follow, a second apart in either order, and then rekey and look for its peer at the new addresses.
func TestLibreswanFollowsUnderTraffic(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order [2]topo.Namespace
	}{
		{"its peer first", [2]topo.Namespace{topo.Right, topo.Left}},
		{"the one that moves first", [2]topo.Namespace{topo.Left, topo.Right}},
	}[:thin(1, 2)] {
		t.Run(tt.name, func(t *testing.T) {
			n := plutos(t)
			if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap+"\n\tdpddelay=1"); err != nil {
				t.Fatal(err)
			}
			observePlutos(t, n, func() {
				var both sync.WaitGroup
				for i, ns := range tt.order {
					both.Go(func() {
						time.Sleep(time.Duration(i) * time.Second)
						expect(t, applyPlan(t, n, ns, plutoPlan(t, n, ns, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}")), 0)
					})
				}
				both.Wait()
			})
			plutosAgree(t, n, topo.LeftISPA, topo.LeftISPB)
			for _, ns := range topo.Gateways {
				plutoLives(t, n, ns)
			}
			plutosAgree(t, n, topo.LeftISPA, topo.LeftISPB)
			if t.Failed() {
				dumpPlutos(t, n)
			}
		})
	}
}

// TestLibreswanIsBroughtBack has one gateway follow while its peer has nothing but pluto, and rolls the run back. In between it is killed when it
// has told pluto to take the old connection down, and recovers.
func TestLibreswanIsBroughtBack(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := plutos(t)
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	observePlutos(t, n, func() {
		cmd := n.OnGateway(topo.Left, "apply", "--yes", plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := topo.Until(time.Minute, func() (bool, error) {
			spd, err := topo.Left.SPD()
			return slices.ContainsFunc(spd, func(p topo.Policy) bool { return p.UID != 0 && p.Action == "allow" && p.Dir == "out" }), err
		}); err != nil {
			t.Errorf("no policy was put over pluto's: %v", err)
		}
		cmd.Process.Kill()
		cmd.Wait()
		expect(t, recoverLeft(t, n, "--forward"), 0)
		plutosAgree(t, n, topo.LeftISPA, topo.LeftISPB)
		o, err := n.Run(topo.Left, "rollback", "--yes")
		if err != nil {
			t.Fatal(err)
		}
		t.Log(o.Output)
		expect(t, o, 0)
	})
	plutosAgree(t, n, topo.LeftISPB, topo.LeftISPA)
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

// TestPlutoRekeysAmidARun has either pluto rekey when the Child SA has moved and before it is told to follow: what comes up at the old addresses then is
// replaced with the rest.
func TestPlutoRekeysAmidARun(t *testing.T) {
	for _, by := range []topo.Namespace{topo.Left, topo.Right}[:thin(1, 2)] {
		t.Run(string(by), func(t *testing.T) {
			n := plutos(t)
			if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
				t.Fatal(err)
			}
			observePlutosBut(t, n, topo.MoveISPChange, "sequence", func() {
				expect(t, plutoAmidARun(t, n, by, "--rekey-child"), 0)
			})
			plutosAgree(t, n, topo.LeftISPA, topo.LeftISPB)
			if t.Failed() {
				dumpPlutos(t, n)
			}
		})
	}
}

// TestPlutoGoesDownAmidARun has pluto take the connection down when its Child SA has moved. It finds one of the two SAs and all policies, and deletes them: the
// run blocks what they protected and can't bring back what it has moved. When the connection is up again recover has nothing to object to. The SA that pluto
// did not find is nobody's then and goes by hand.
func TestPlutoGoesDownAmidARun(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := plutos(t)
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	expect(t, plutoAmidARun(t, n, topo.Left, "--terminate"), 8, "stays blocked")
	if got := blocked(snap(t)); len(got) != 3 {
		t.Errorf("blocked: %v", got)
	}
	if out, err := n.Whack(topo.Left, "--initiate", "--name", "site"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	expect(t, recoverLeft(t, n), 0)
	listed, err := n.Whack(topo.Left, "--showstates")
	if err != nil {
		t.Fatal(err)
	}
	for _, sa := range snap(t).SAs {
		if !strings.Contains(listed, fmt.Sprintf(" esp.%x@", sa.SPI)) {
			deleteSA(t, sa.Src.String(), sa.Dst.String(), fmt.Sprintf("0x%08x", sa.SPI))
		}
	}
	plutosAgree(t, n, topo.LeftISPB, topo.LeftISPA)
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

// plutoAmidARun has pluto do something to its connection when the run has moved its Child SA and waits for its check, before pluto is told to follow.
func plutoAmidARun(t *testing.T, n *topo.Network, by topo.Namespace, does string) topo.Outcome {
	t.Helper()
	g := gate{t.TempDir()}
	cmd := n.OnGateway(topo.Left, "apply", "--yes", plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}\n"+g.check()))
	r := &waved{cmd: cmd, output: new(bytes.Buffer), start: time.Now()}
	cmd.Stdout, cmd.Stderr = r.output, r.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	g.reached(t)
	if out, err := n.Whack(by, does, "--name", "site"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	g.open(t)
	got := r.end(t)
	t.Logf("apply:\n%s", got.Output)
	return got
}

// TestLibreswanSetsUpWhatIsLost loses an SA in the middle of a transaction.
func TestLibreswanSetsUpWhatIsLost(t *testing.T) {
	n := plutos(t)
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	observePlutos(t, n, func() {
		r := applyFaulty(t, n, plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, onLoss), loses(0))
		if g := r.Groups[0]; g.Outcome != executor.Done || !strings.Contains(strings.Join(g.Problems, " "), "lost on purpose") {
			t.Errorf("the report says %+v", g)
		}
	})
	plutosAgree(t, n, topo.LeftISPA, topo.LeftISPB)
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

// TestLibreswanBringsBackWhatIsLost loses an SA while the peer's pluto doesn't answer, and has it set up where it was when the peer is back. What pluto
// goes on trying in the meantime, which is the other connection, does not come up after that.
func TestLibreswanBringsBackWhatIsLost(t *testing.T) {
	if !*thorough {
		t.Skip("only with -thorough")
	}
	n := plutos(t)
	if err := n.AddConn(successor, topo.LeftISPB, topo.RightISP, overlap); err != nil {
		t.Fatal(err)
	}
	m := topo.MoveISPChange
	m.NewLeft = m.Left
	observePlutosBut(t, n, m, "pings", func() {
		loseWithoutPeer(t, n, plutoPlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, onLoss), "ipsec up "+successor, true)
	})
	plutosAgree(t, n, topo.LeftISPB, topo.LeftISPA)
	if t.Failed() {
		dumpPlutos(t, n)
	}
}

var (
	plutoSPI   = regexp.MustCompile(` esp\.([0-9a-f]+)@`)
	plutoIKE   = regexp.MustCompile(`#(\d+): .* ESTABLISHED_IKE_SA `)
	plutoChild = regexp.MustCompile(` IKE SA #(\d+);`)
)

// emptyIKE lists the IKE SAs without a Child SA.
func emptyIKE(listed string) (all []string) {
	for _, ike := range plutoIKE.FindAllStringSubmatch(listed, -1) {
		if !slices.ContainsFunc(plutoChild.FindAllStringSubmatch(listed, -1), func(of []string) bool { return of[1] == ike[1] }) {
			all = append(all, ike[0])
		}
	}
	return all
}

// plutosAgree makes sure that the plutos list exactly the SAs that the kernels have, that nothing has one address and the tunnel has the other.
func plutosAgree(t *testing.T, n *topo.Network, from, to netip.Addr) {
	t.Helper()
	plutosAgreeOn(t, n, 1, from, to)
}

// plutosAgreeOn is plutosAgree with some tunnels.
func plutosAgreeOn(t *testing.T, n *topo.Network, tunnels int, from, to netip.Addr) {
	t.Helper()
	gone := from.String()
	for _, ns := range topo.Gateways {
		var listed string
		var s topo.Snapshot
		err := topo.Until(60*time.Second, func() (bool, error) {
			var err error
			if listed, err = n.Whack(ns, "--showstates"); err != nil {
				return false, err
			}
			if s, err = topo.Snap(ns); err != nil {
				return false, err
			}
			var spis []string
			for _, m := range plutoSPI.FindAllStringSubmatch(listed, -1) {
				spis = append(spis, strings.Repeat("0", 8-len(m[1]))+m[1])
			}
			slices.Sort(spis)
			return slices.Equal(spis, spisIn(s.SAs)) && len(spis) >= 2*tunnels && !strings.Contains(listed, gone) && len(emptyIKE(listed)) == 0, nil
		})
		if err != nil {
			t.Errorf("%s: pluto and the kernel don't agree: %v\n%s\n%+v", ns, err, listed, s.SAs)
		}
		for _, sa := range s.SAs {
			if sa.Src.String() == gone || sa.Dst.String() == gone {
				t.Errorf("%s: an SA %v > %v", ns, sa.Src, sa.Dst)
			}
		}
		here := 0
		for _, p := range s.Policies {
			if strings.Contains(p.Template, gone) || p.Action != "allow" || p.UID != 0 {
				t.Errorf("%s: policy %v", ns, p)
			}
			if strings.Contains(p.Template, to.String()) {
				here++
			}
		}
		if here != 3*tunnels {
			t.Errorf("%s: %d policies are at %v, want 3 (out, in, fwd) of %d tunnels: %v", ns, here, to, tunnels, s.Policies)
		}
	}
}

// plutoLives has pluto rekey the Child SA where it is now, and waits until it has looked for its peer there.
func plutoLives(t *testing.T, n *topo.Network, ns topo.Namespace) {
	t.Helper()
	if out, err := n.Whack(ns, "--rekey-child", "--name", successor); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	p, err := topo.StartPing(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Answered(20, 20*time.Second); err != nil {
		t.Errorf("after a rekey by %s: %v", ns, err)
	}
	err = topo.Until(40*time.Second, func() (bool, error) {
		listed, err := n.Whack(ns, "--showstates")
		return strings.Contains(listed, "LIVENESS in"), err
	})
	if err != nil {
		t.Errorf("%s does not look for its peer: %v", ns, err)
	}
}
