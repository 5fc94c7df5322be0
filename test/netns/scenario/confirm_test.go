//go:build lab

package scenario

import (
	"bytes"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// awaiting starts an apply that has to be confirmed and returns when its SAs are at the new address.
func awaiting(t *testing.T, within string) (r *waved, again func(command string, more ...string) *exec.Cmd) {
	t.Helper()
	cmd := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", ""))
	where := cmd.Args[slices.Index(cmd.Args, "--netns"):]
	cmd.Args = append(cmd.Args, "--confirm-within", within)
	r = &waved{cmd: cmd, output: new(bytes.Buffer), start: time.Now()}
	cmd.Stdout, cmd.Stderr = r.output, r.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	r.firstMoved(t)
	return r, func(command string, more ...string) *exec.Cmd {
		return exec.Command(topo.Program, append(append([]string{command}, more...), where...)...)
	}
}

// atOldAddresses waits until no SA is at the new address.
func atOldAddresses(t *testing.T) {
	t.Helper()
	if err := topo.Until(20*time.Second, func() (bool, error) {
		sas, err := topo.Left.SAD()
		return !slices.ContainsFunc(sas, func(sa topo.SA) bool { return sa.Src == topo.LeftISPB || sa.Dst == topo.LeftISPB }), err
	}); err != nil {
		t.Fatalf("SAs are still at the new address: %v", err)
	}
}

func TestUnconfirmedRunIsUndone(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	cmd := fromOutside(t, nil, plan(t, "192.0.2.1", "198.51.100.1", ""))
	cmd.Args = append(cmd.Args, "--confirm-within", "1s")
	expect(t, finish(t, cmd), 9, "moved; its traffic", "was not confirmed in time and was undone")
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
}

func TestUnconfirmedRunIsUndoneAfterApplyWasKilled(t *testing.T) {
	build(t)
	manual(t, peers)
	before := snap(t)
	r, again := awaiting(t, "10s")
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.cmd.Wait()
	atOldAddresses(t)
	if err := topo.Until(20*time.Second, func() (bool, error) { // it still reads back and writes down what it did
		o, err := topo.Finish(again("recover", "--yes"))
		return o.Code == 0, err
	}); err != nil {
		t.Fatal(err)
	}
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
}

func TestConfirmedRunStays(t *testing.T) {
	build(t)
	manual(t, peers)
	r, again := awaiting(t, "60s")
	if err := topo.Until(20*time.Second, func() (bool, error) { // apply lets go of its lock when it has read everything back
		o, err := topo.Finish(again("confirm"))
		return o.Code == 0, err
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, r.end(t), 0, "is confirmed: it stays")
	if !slices.ContainsFunc(snap(t).SAs, func(sa topo.SA) bool { return sa.Src == topo.LeftISPB }) {
		t.Error("no SA is at the new address")
	}
}
