//go:build lab

package crash

import (
	"bufio"
	"flag"
	"math/rand/v2"
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

var crashes = flag.Int("crashes", 10, "how often the program is killed")

// nothingToRecover is how recover says so.
const nothingToRecover = "Nothing to recover"

// gateway is the namespace with the tunnels, as many as make a run long enough to be hit.
const gateway topo.Namespace = "crash"

const tunnels = 20

// TestRecoverBringsEverythingBackAfterKill kills apply at random instants between its first event and its last, recovers, and
// compares what `ip xfrm` shows with what it showed before: every SA with its counters, every policy with its index, and
// nothing else.
func TestRecoverBringsEverythingBackAfterKill(t *testing.T) {
	g := newGateway(t)
	before := g.snap(t)
	span := g.apply(t, -1)
	moved := g.snap(t)
	g.program(t, 0, "rollback", "--yes")
	g.same(t, before, "after a whole run and its rollback")
	span = min(span, g.apply(t, -1)) // the first one warms caches
	g.program(t, 0, "rollback", "--yes")
	amid, ended := 0, 0
	for i := range *crashes {
		delay := time.Duration(rand.Int64N(int64(span)))
		g.apply(t, delay)
		said := g.program(t, 0, "recover", "--yes")
		nothing := strings.Contains(said, nothingToRecover)
		if !nothing {
			amid++
		}
		after := g.snap(t)
		if nothing && after.Same(moved) == nil { // its end was on disk
			ended++
			g.program(t, 0, "rollback", "--yes")
			after = g.snap(t)
		}
		if err := after.Same(before); err != nil {
			t.Fatalf("crash %d, %v into a run of %v: %v\n%s", i, delay, span, err, said)
		}
		if i%10 == 0 {
			if again := g.program(t, 0, "recover", "--yes"); !strings.Contains(again, nothingToRecover) {
				t.Errorf("crash %d: a second recovery says %q", i, again)
			}
		}
	}
	t.Logf("killed %d times within the %v of a run: %d times amid its work, %d times after its end", *crashes, span, amid, ended)
	if amid == 0 {
		t.Error("no kill found the work half done: they came too early or too late")
	}
}

// TestRecoverForwardFinishesTheRun goes on after a kill.
func TestRecoverForwardFinishesTheRun(t *testing.T) {
	g := newGateway(t)
	before := g.snap(t)
	span := g.apply(t, -1)
	moved := g.snap(t)
	g.program(t, 0, "rollback", "--yes")
	for range max(1, *crashes/10) {
		delay := span/8 + time.Duration(rand.Int64N(int64(span/2)))
		g.apply(t, delay)
		if g.snap(t).Same(before) != nil {
			g.program(t, 0, "recover", "--forward", "--yes")
			g.same(t, moved, "recover --forward")
		}
		g.program(t, 0, "rollback", "--yes")
		g.same(t, before, "rollback of what was recovered forward")
	}
}

// host is a gateway with manual tunnels, the program's state and its plan.
type host struct{ state, plan string }

func newGateway(t *testing.T) *host {
	t.Helper()
	if err := gateway.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gateway.Delete(); err != nil {
			t.Error(err)
		}
	})
	err := gateway.IP("link set lo up\nlink add wan type dummy\nlink set wan up\naddress add 192.0.2.1/24 dev wan\naddress add 198.51.100.1/24 dev wan\n" +
		"route add 203.0.113.0/24 dev wan\n")
	if err != nil {
		t.Fatal(err)
	}
	err = gateway.Enter(func() error {
		c, err := xfrm.Dial(0)
		if err != nil {
			return err
		}
		defer c.Close()
		return xfrmtest.Install(c, xfrmtest.ChildSAs(xfrmtest.Tunnels{
			N: tunnels, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), SPIInTemplate: true, Dir: true,
		})...)
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &host{state: filepath.Join(t.TempDir(), "state"), plan: filepath.Join(t.TempDir(), "plan.yaml")}
	text := "apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: crash}\nrenumber: [{from: 192.0.2.1, to: 198.51.100.1}]\nike: {follow: none}\n"
	if err := os.WriteFile(g.plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *host) command(args ...string) *exec.Cmd {
	return exec.Command(topo.Program, append(args, "--netns", string(gateway), "--state-dir", g.state)...)
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
	s, err := topo.Snap(gateway)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *host) same(t *testing.T, want topo.Snapshot, when string) {
	t.Helper()
	if err := g.snap(t).Same(want); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}
