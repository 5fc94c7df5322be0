//go:build lab

package crash

import (
	"bufio"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	netns "github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

var thorough = flag.Bool("thorough", false, "every way in which a run may end under load, not only the worst")

// busy are as many tunnels as TestNothingInTheClear has, each of both families.
const busy = 50

// TestNothingInTheClear loads fifty Child SAs with pings of both families and iperf3, lets somebody on the wire send inner packets in the
// clear, and ends a run in every way. Captures on the wire and at both clients, and sockets on the gateway, show that nothing
// leaves in the clear and nothing in the clear is let in: after that come the same captures without policies, which see both.
func TestNothingInTheClear(t *testing.T) {
	g := newGateway(t, busy)
	w := watchLoad(t)
	before := g.snap(t)
	ways := endings
	if !*thorough {
		ways = ways[:2]
	}
	for _, e := range ways {
		if !t.Run(e.name, func(t *testing.T) {
			w.start(t)
			e.run(t, g)
			g.same(t, before, "afterwards")
			w.load.flowing(t, "afterwards")
			w.check(t)
		}) {
			return
		}
	}
	t.Run("without policies", func(t *testing.T) { w.seesCleartext(t) })
	for _, f := range w.load.iperfs {
		if f.stop(t) == 0 {
			t.Errorf("iperf3 has sent nothing: %s", &f.report)
		}
	}
}

// endings are the ways in which a run ends. Each leaves the tunnels at the old addresses.
var endings = []struct {
	name string
	run  func(*testing.T, *host)
}{
	{"kill -9 in each phase, and recover", func(t *testing.T, g *host) {
		amid := 0
		for _, p := range phases {
			r := g.held(t)
			killed := g.killAt(t, r, p.tells)
			r.release(t)
			r.ends(t, -1)
			killed(p.name)
			blocks := 0
			for _, policy := range g.snap(t).Policies {
				if policy.Action == "block" {
					blocks++
				}
			}
			t.Logf("killed when the kernel told of the first %s: %d policies block", p.name, blocks)
			amid += min(blocks, 1)
			g.program(t, 0, "recover", "--yes")
		}
		if amid == 0 {
			t.Error("each kill came when nothing was blocked any more")
		}
	}},
	{"both gateways, and back", func(t *testing.T, g *host) {
		peer := newHost(t, topo.Right)
		r := g.held(t)
		r.release(t)
		r.ends(t, 0)
		peer.program(t, 0, "apply", peer.plan, "--yes")
		g.program(t, 0, "rollback", "--yes")
		peer.program(t, 0, "rollback", "--yes")
	}},
	{"a refused call, and undone", func(t *testing.T, g *host) {
		r := g.held(t)
		foreign := g.occupyOne(t)
		r.release(t)
		r.ends(t, 7)
		if err := g.ns.IP("xfrm state delete " + foreign + "\n"); err != nil {
			t.Fatal(err)
		}
	}},
	{"SIGTERM", func(t *testing.T, g *host) {
		r := g.held(t)
		r.cmd.Process.Signal(syscall.SIGTERM)
		r.ends(t, 130)
	}},
	{"SIGINT twice, and recover", func(t *testing.T, g *host) {
		r := g.held(t)
		r.cmd.Process.Signal(syscall.SIGINT)
		r.until(t, "group-undone")
		r.cmd.Process.Signal(syscall.SIGINT)
		r.ends(t, -1)
		if said := g.program(t, 0, "recover", "--yes"); strings.Contains(said, nothingToRecover) {
			t.Error("the second signal came when all was undone already")
		}
	}},
}

// phases are those of a group, by what the kernel tells of it. Policies are rewritten in place where that costs less.
var phases = []struct {
	name  string
	tells func(*xfrm.Event) bool
}{
	{"block", func(e *xfrm.Event) bool { return written(e) && e.Policy.Action == xfrm.Block }},
	{"migration", func(e *xfrm.Event) bool { return e.Migration != nil }},
	{"rewritten policy", func(e *xfrm.Event) bool { return written(e) && e.Policy.Action == xfrm.Allow && !e.Policy.Tagged() }},
	{"block's end", func(e *xfrm.Event) bool { return e.Type == xfrm.MsgDelPolicy && e.Policy != nil && e.Policy.Tagged() }},
}

func written(e *xfrm.Event) bool {
	return e.Policy != nil && (e.Type == xfrm.MsgNewPolicy || e.Type == xfrm.MsgUpdPolicy)
}

// killAt kills the run when the kernel tells of something. The function that it returns waits for that.
func (g *host) killAt(t *testing.T, r *heldRun, tells func(*xfrm.Event) bool) (wait func(what string)) {
	t.Helper()
	ns, err := netns.Open(string(g.ns))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	m, err := xfrm.DialMonitor(ns.FD(), xfrm.GroupPolicy, xfrm.GroupMigrate)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 1)
	go func() {
		defer m.Close()
		for until := time.Now().Add(time.Minute); ; {
			e, err := m.Next(until)
			if err == nil && tells(&e) {
				err = r.cmd.Process.Kill()
			} else if err == nil || errors.Is(err, xfrm.ErrOverrun) {
				continue
			}
			heard <- err
			return
		}
	}()
	return func(what string) {
		t.Helper()
		if err := <-heard; err != nil {
			t.Fatalf("wait for the first %s: %v", what, err)
		}
	}
}

// heldRun is a run that waits after its first wave.
type heldRun struct {
	cmd    *exec.Cmd
	gate   string
	events *bufio.Scanner
	stderr *strings.Builder
}

// held starts a run and returns when four fifths of the tunnels have moved.
func (g *host) held(t *testing.T) *heldRun {
	t.Helper()
	r := &heldRun{gate: filepath.Join(t.TempDir(), "gate"), stderr: new(strings.Builder)}
	g.plans(t, "waves: [{name: most, size: 80%}, {name: rest, size: 100%}]\n"+
		fmt.Sprintf("checks: {after: {command: {run: [/bin/sh, -c, 'until [ -e $0 ]; do sleep 0.1; done', %q], timeout: 2m}}}\n", r.gate))
	r.cmd = g.command("apply", g.plan, "--yes", "--output", "json")
	r.cmd.Stderr = r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.events = bufio.NewScanner(out)
	r.events.Buffer(nil, 1<<20)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	for range busy * 4 / 5 {
		r.until(t, "group-done")
	}
	return r
}

func (r *heldRun) release(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(r.gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// until reads events up to the next one of a kind.
func (r *heldRun) until(t *testing.T, kind string) {
	t.Helper()
	for r.events.Scan() {
		if strings.Contains(r.events.Text(), `"`+kind+`"`) {
			return
		}
	}
	r.cmd.Wait()
	t.Fatalf("apply has ended with %v before any %s: %s", r.cmd.ProcessState, kind, r.stderr)
}

// ends waits for the end of the program; the code of one that a signal has killed is -1.
func (r *heldRun) ends(t *testing.T, code int) {
	t.Helper()
	for r.events.Scan() {
	}
	r.cmd.Wait() // how it ended is in ProcessState
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("apply: %v, want exit status %d: %s", r.cmd.ProcessState, code, r.stderr)
	}
}

// occupyOne puts a foreign SA where an inbound SA that has not moved yet would go, and returns what `ip xfrm state delete` needs.
func (g *host) occupyOne(t *testing.T) string {
	t.Helper()
	all := g.snap(t).SAs
	i := slices.IndexFunc(all, func(sa topo.SA) bool { return sa.Dst == topo.LeftISPA })
	if i < 0 {
		t.Fatal("all SAs have moved")
	}
	key := make([]byte, 20)
	rand.Read(key)
	foreign := fmt.Sprintf("src 203.0.113.99 dst %v proto esp spi 0x%08x", topo.LeftISPB, all[i].SPI)
	if err := g.ns.IP(fmt.Sprintf("xfrm state add %s reqid 99 mode tunnel aead rfc4106(gcm(aes)) 0x%x 128\n", foreign, key)); err != nil {
		t.Fatal(err)
	}
	return foreign
}

// loadWatch is who looks at the traffic.
type loadWatch struct {
	load     *load
	injector *injector
	dir      string
	captures map[place]*topo.Capture
}

// place is where a capture is.
type place struct {
	ns    topo.Namespace
	iface string
}

var places = []place{
	{topo.Wire, topo.LeftUplinks[0]}, {topo.Wire, topo.LeftUplinks[1]}, {topo.Wire, topo.RightUplink},
	{topo.LeftLAN, "eth0"}, {topo.RightLAN, "eth0"},
}

func watchLoad(t *testing.T) *loadWatch {
	t.Helper()
	return &loadWatch{load: startLoad(t, busy), injector: startInjector(t, busy), dir: t.TempDir()}
}

func (w *loadWatch) start(t *testing.T) {
	t.Helper()
	w.captures = make(map[place]*topo.Capture)
	for _, p := range places {
		c, err := topo.StartCaptureAt(p.ns, p.iface, filepath.Join(w.dir, string(p.ns)+"-"+p.iface))
		if err != nil {
			t.Fatal(err)
		}
		w.captures[p] = c
	}
}

// seen is what the captures have.
type seen struct {
	esp, delivered int // on the wire, and at the clients
	clear          int // on the wire, of the inner networks
	letIn          int // injected, and at a client all the same
}

func (w *loadWatch) stop(t *testing.T) (s seen) {
	t.Helper()
	for p, c := range w.captures {
		packets, err := c.Stop()
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets {
			switch packet := &packets[i]; {
			case p.ns != topo.Wire && packet.Proto == marker:
				s.letIn++
			case p.ns != topo.Wire:
				s.delivered++
			case packet.Inner():
				s.clear++
			default:
				if _, ok := packet.ESP(); ok {
					s.esp++
				}
			}
		}
	}
	return s
}

func (w *loadWatch) check(t *testing.T) {
	t.Helper()
	s := w.stop(t)
	t.Logf("%d ESP packets and %d in the clear on the wire, %d at the clients; %d injected, of which %d were let through and %d let in; %d pings answered",
		s.esp, s.clear, s.delivered, w.injector.sent.Load(), s.letIn, w.injector.accepted.Load(), w.load.replies())
	if s.clear != 0 || s.letIn != 0 || w.injector.accepted.Load() != 0 {
		t.Error("there was cleartext")
	}
	if s.esp == 0 || s.delivered == 0 || w.injector.sent.Load() == 0 {
		t.Error("there was no traffic")
	}
}

// seesCleartext takes the policies away: then all that must never be seen is.
func (w *loadWatch) seesCleartext(t *testing.T) {
	w.start(t)
	if err := topo.Left.IP("xfrm policy flush\n"); err != nil {
		t.Fatal(err)
	}
	sent := w.injector.sent.Load()
	if err := topo.Until(time.Minute, func() (bool, error) { return w.injector.sent.Load() >= sent+8*busy, nil }); err != nil {
		t.Fatal(err)
	}
	s := w.stop(t)
	t.Logf("%+v, and %d let in", s, w.injector.accepted.Load())
	if s.clear == 0 || s.letIn == 0 || w.injector.accepted.Load() == 0 {
		t.Error("without policies there is no cleartext: nothing would have been seen before either")
	}
}
