//go:build lab

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// ikePlan writes a plan for one gateway whose strongSwan the plan may ask, with more keys at its end.
func ikePlan(t *testing.T, n *topo.Network, ns topo.Namespace, from, to fmt.Stringer, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.yaml")
	text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
		"reestablish: {driver: vici, socket: %s}\n%s\n", from, to, n.Socket(ns), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func applyPlan(t *testing.T, n *topo.Network, ns topo.Namespace, file string) topo.Outcome {
	t.Helper()
	o, err := n.Run(ns, "apply", "--yes", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("apply on %s:\n%s", ns, o.Output)
	return o
}

const successor = "site-b"

// TestDaemonFollowIsRefused has what keeps a plan that concerns a daemon from being applied. Nothing is touched.
func TestDaemonFollowIsRefused(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	before := snap(t)
	for _, tt := range []struct {
		name, more string
		says       []string
	}{
		{"nothing is said of the daemon", "", []string{"ike-owned", "site/lan", "follow: none", "follow: reestablish"}},
		{"no connection at the new addresses", "ike: {follow: reestablish}", []string{"ike-no-successor", "198.51.100.1", "site/lan"}},
		{"nor one to set up what is lost", "ike: {follow: none}\nonExist: reestablish", []string{"ike-no-successor"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, applyPlan(t, n, topo.Left, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB, tt.more)), 5, tt.says...)
		})
	}
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
}

// TestDaemonsFollowUnderTraffic has strongSwan on both gateways follow, make before break, while both families ping, and then rekey and look for
// its peer at the new addresses. The gateways are a second apart, in either order, or not at all.
func TestDaemonsFollowUnderTraffic(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order [2]topo.Namespace
		apart time.Duration
	}{
		{"both at once", topo.Gateways, 0},
		{"the one that moves first", [2]topo.Namespace{topo.Left, topo.Right}, time.Second},
		{"its peer first", [2]topo.Namespace{topo.Right, topo.Left}, time.Second},
	}[:thin(1, 3)] {
		t.Run(tt.name, func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, "dpd_delay = 1s"); err != nil {
				t.Fatal(err)
			}
			observeBy(t, n, topo.MoveISPChange, (*topo.Observation).ChecksWithDaemon, func() {
				var both sync.WaitGroup
				for i, ns := range tt.order {
					both.Go(func() {
						time.Sleep(time.Duration(i) * tt.apart)
						expect(t, applyPlan(t, n, ns, ikePlan(t, n, ns, topo.LeftISPA, topo.LeftISPB, "ike: {follow: reestablish}")), 0)
					})
				}
				both.Wait()
			})
			agree(t, n, topo.LeftISPA.String())
			for _, ns := range topo.Gateways {
				daemonLives(t, n, ns)
			}
			agree(t, n, topo.LeftISPA.String())
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}

// agree makes sure that the daemons list exactly the SAs that the kernels have, one Child SA each, and that nothing has an old address.
func agree(t *testing.T, n *topo.Network, gone string) {
	t.Helper()
	for _, ns := range topo.Gateways {
		// Longer than a responder keeps an attempt that its peer has given up, which is 30 s.
		err := topo.Until(60*time.Second, func() (bool, error) {
			listed, err := n.Swanctl(ns, "--list-sas", "--raw")
			if err != nil {
				return false, err
			}
			sas, err := ns.SAD()
			if err != nil {
				return false, err
			}
			return slices.Equal(spisOf(listed), spisIn(sas)) && len(sas) == 2 && !strings.Contains(listed, gone) && !strings.Contains(listed, "CONNECTING"), nil
		})
		s, snapErr := topo.Snap(ns)
		listed, listErr := n.Swanctl(ns, "--list-sas")
		if err != nil || snapErr != nil || listErr != nil {
			t.Errorf("%s: the daemon and the kernel don't agree: %v %v %v\n%s\n%+v", ns, err, snapErr, listErr, listed, s.SAs)
			continue
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

var rawSPI = regexp.MustCompile(`spi-(?:in|out)=([0-9a-f]+)`)

func spisOf(listed string) (all []string) {
	for _, m := range rawSPI.FindAllStringSubmatch(listed, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

func spisIn(sas []topo.SA) (all []string) {
	for _, sa := range sas {
		all = append(all, fmt.Sprintf("%08x", sa.SPI))
	}
	slices.Sort(all)
	return all
}

// daemonLives has the daemon rekey the Child SA and the IKE SA where they are now, and waits until it has looked for its peer there.
func daemonLives(t *testing.T, n *topo.Network, ns topo.Namespace) {
	t.Helper()
	for _, what := range []string{"--child", "--ike"} {
		name := map[string]string{"--child": "lan", "--ike": successor}[what]
		if _, err := n.Swanctl(ns, "--rekey", what, name); err != nil {
			t.Errorf("%s: %v", ns, err)
		}
	}
	p, err := topo.StartPing(topo.Client4)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Answered(20, 20*time.Second); err != nil {
		t.Errorf("after a rekey by %s: %v", ns, err)
	}
	p.Stop()
	err = topo.Until(40*time.Second, func() (bool, error) {
		log, err := os.ReadFile(filepath.Join(filepath.Dir(n.Socket(ns)), "charon.log"))
		return deadPeerDetection.Match(log), err
	})
	if err != nil {
		t.Errorf("%s has neither sent a DPD request nor got one: %v", ns, err)
	}
}

// deadPeerDetection is what a log has of it: a daemon that is asked first does not ask.
var deadPeerDetection = regexp.MustCompile(`sending DPD request|parsed INFORMATIONAL request \d+ \[ \]`)

// dump shows what the daemons were thinking.
func dump(t *testing.T, n *topo.Network) {
	for _, ns := range topo.Gateways {
		log, _ := os.ReadFile(filepath.Join(filepath.Dir(n.Socket(ns)), "charon.log"))
		t.Logf("charon of %s:\n%s", ns, log)
	}
}
