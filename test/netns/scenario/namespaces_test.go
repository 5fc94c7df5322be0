//go:build lab

package scenario

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// besideLeft makes the right gateway another one that moves from one address to the other, with tunnels of the same names.
func besideLeft(t *testing.T) {
	t.Helper()
	build(t)
	if err := topo.Right.IP("addr add 192.0.2.1/32 dev lo\naddr add 198.51.100.1/32 dev lo\n"); err != nil {
		t.Fatal(err)
	}
	manual(t, peers)
	manualIn(t, topo.Right, peers)
}

// inBoth is the program with a plan for both gateways.
func inBoth(t *testing.T, state, more string) *exec.Cmd {
	return exec.Command(topo.Program, "apply", "--output", "json", "--yes", plan(t, "192.0.2.1", "198.51.100.1", "targets: [{netns: left}, {netns: right}]\n"+more), "--state-dir", state)
}

// TestNamespaceIsNotUndoneForAnother has the kernel refuse a call in one of two network namespaces: that one is undone, the other is brought to its end, and
// can be undone by itself.
func TestNamespaceIsNotUndoneForAnother(t *testing.T) {
	besideLeft(t)
	left, right := snap(t), snapOf(t, topo.Right)
	g := gate{t.TempDir()}
	state := t.TempDir()
	r := &waved{cmd: inBoth(t, state, "waves: [{name: first, size: 1}, {name: second, size: 100%}]\n"+g.check()), output: new(bytes.Buffer), start: time.Now()}
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	g.reached(t)
	occupy(t, 1)
	g.open(t)
	got := r.end(t)
	expect(t, got, 7)
	outcomes := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(got.Output)); lines.Scan(); {
		var line struct {
			Event, NetNS string
			executor.Report
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Event == "report" {
			for _, group := range line.Groups {
				outcomes[line.NetNS] += string(group.Outcome) + " "
			}
		}
	}
	if outcomes["left"] != "undone undone " || outcomes["right"] != "done done " {
		t.Errorf("the reports say %q\n%s", outcomes, got.Output)
	}
	deleteSA(t, "203.0.113.99", topo.LeftISPB.String(), fmt.Sprintf("0x%08x", inSPI(1)))
	if err := snap(t).Same(left); err != nil {
		t.Errorf("left: %v", err)
	}
	for _, sa := range snapOf(t, topo.Right).SAs {
		if sa.Src != topo.LeftISPB && sa.Dst != topo.LeftISPB {
			t.Errorf("right: SA %08x is at %v > %v", sa.SPI, sa.Src, sa.Dst)
		}
	}
	if b := blocked(snapOf(t, topo.Right)); len(b) != 0 {
		t.Errorf("right: blocked: %v", b)
	}
	for _, command := range []string{"rollback", "recover"} { // the one undoes it, the other finds nothing left
		back := exec.Command(topo.Program, command, "--yes", "--netns", "right", "--state-dir", state)
		expect(t, finish(t, back), 0)
	}
	if err := snapOf(t, topo.Right).Same(right); err != nil {
		t.Errorf("right, undone: %v", err)
	}
}

// TestNamespaceThatCannotBeginKeepsTheOthersFromIt has a conflict in one of two network namespaces before anything is touched.
func TestNamespaceThatCannotBeginKeepsTheOthersFromIt(t *testing.T) {
	besideLeft(t)
	occupy(t, 1)
	left, right := snap(t), snapOf(t, topo.Right)
	expect(t, finish(t, inBoth(t, t.TempDir(), "")), 5, "target-occupied")
	if err := snap(t).Same(left); err != nil {
		t.Errorf("left: %v", err)
	}
	if err := snapOf(t, topo.Right).Same(right); err != nil {
		t.Errorf("right: %v", err)
	}
}
