//go:build lab

package inventory

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/plan/recorded"
	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// record is given to record inventories afresh, below testdata; copy them to plan/testdata/inventory from there.
var record = flag.Bool("record", false, "record inventories")

func TestMain(m *testing.M) { kernel.Main(m) }

// netns is a network namespace of one test.
type netns struct {
	*host.Namespace
	t    *testing.T
	conn *xfrm.Conn
}

// newNetNS makes a namespace with lo up.
func newNetNS(t *testing.T) *netns {
	t.Helper()
	if os.Getenv(kernel.Env) != kernel.System {
		t.Skip("the small machine has no ip; run with -system")
	}
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ".", "-", "#", "-", ",", "-").Replace(t.Name()))
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", name) })
	run(t, "ip", "-n", name, "link", "set", "lo", "up")
	return openNetNS(t, name)
}

func openNetNS(t *testing.T, name string) *netns {
	t.Helper()
	ns, err := host.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	conn, err := xfrm.Dial(ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &netns{Namespace: ns, t: t, conn: conn}
}

// ip runs the lines of a script with ip.
func (n *netns) ip(script string) {
	n.t.Helper()
	for line := range strings.Lines(script) {
		if words := strings.Fields(line); len(words) > 0 {
			run(n.t, "ip", append([]string{"-n", n.Name}, words...)...)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (n *netns) inventory() *plan.Inventory {
	n.t.Helper()
	inv, err := n.Inventory(n.conn)
	if err != nil {
		n.t.Fatal(err)
	}
	return inv
}

// record writes the namespace's inventory to testdata, if asked to. made tells how to make such a one.
func (n *netns) record(name, made string) {
	n.t.Helper()
	inv := n.inventory()
	if len(inv.SAs)+len(inv.Policies) == 0 {
		n.t.Fatal("there is nothing to record")
	}
	if !*record {
		return
	}
	b, err := recorded.Marshal(inv, made)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".json"), b, 0o644); err != nil {
		n.t.Fatal(err)
	}
}
