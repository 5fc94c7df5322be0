//go:build lab

package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestProgramOfTheOperatorsFollows has a shell script tell strongSwan what xfrm-plan tells it with the driver vici.
func TestProgramOfTheOperatorsFollows(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := programPlan(t, n, dir, follow)
	observeLoss(t, n, topo.MoveISPChange, func() { // the peer stays where it was until the script has started its programs, however slow the machine

		expect(t, applyPlan(t, n, topo.Left, file), 0, "1 of 1 groups done")
	})
	agree(t, n, topo.LeftISPA.String())
	bothAnswer(t)
	if in := readBy(t, dir); in.Lost || len(in.SAs) != 2 {
		t.Errorf("it read %+v", in)
	}
	if t.Failed() {
		dump(t, n)
	}
}

// TestProgramSetsUpWhatIsLost has the same script set up what the kernel has lost, behind blocks.
func TestProgramSetsUpWhatIsLost(t *testing.T) {
	for i, name := range []string{"inbound", "outbound"}[:thin(1, 2)] {
		t.Run(name, func(t *testing.T) {
			n := build(t)
			if err := n.StartIKE(); err != nil {
				t.Fatal(err)
			}
			if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			observeLoss(t, n, topo.MoveISPChange, func() {
				if r := applyFaulty(t, n, programPlan(t, n, dir, onLoss), loses(i)); r.Count(executor.Done) != 1 {
					t.Errorf("the report says %+v", r.Groups)
				}
			})
			agree(t, n, topo.LeftISPA.String())
			bothAnswer(t)
			if in := readBy(t, dir); !in.Lost {
				t.Errorf("it read %+v", in)
			}
			if t.Failed() {
				dump(t, n)
			}
		})
	}
}

// programPlan writes a plan whose daemon is told by a shell script in a directory, which keeps what it reads there. It deletes what has moved itself.
func programPlan(t *testing.T, n *topo.Network, dir, more string) string {
	t.Helper()
	program, file := filepath.Join(dir, "bring-up"), filepath.Join(dir, "plan.yaml")
	remove := func(direction string, src, dst fmt.Stringer) string {
		return fmt.Sprintf("ip -n %s xfrm state delete src %v dst %v proto esp spi $(sed 's/.*\"direction\":\"%s\"[^}]*\"spi\":\"\\([^\"]*\\)\".*/\\1/' %s/in) || true\n",
			topo.Left, src, dst, direction, dir)
	}
	text := fmt.Sprintf("#!/bin/sh -e\ncat > %[1]s/in\nexport STRONGSWAN_CONF=$(dirname %[3]s)/strongswan.conf\nswanctl --initiate --ike %[2]s --child lan --uri unix://%[3]s\n"+
		"swanctl --terminate --ike site --force --uri unix://%[3]s\n", dir, successor, n.Socket(topo.Left)) +
		remove("out", topo.LeftISPB, topo.RightISP) + remove("in", topo.RightISP, topo.LeftISPB)
	plan := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
		"%s\nreestablish: {driver: command, command: [%s]}\n", topo.LeftISPA, topo.LeftISPB, more, program)
	for path, text := range map[string]string{program: text, file: plan} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// told is what a program reads, as far as scenarios look at it.
type told struct {
	Lost bool
	SAs  []struct{ SPI string }
}

func readBy(t *testing.T, dir string) (in told) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "in"))
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err != nil {
		t.Errorf("it read %s, %v", b, err)
	}
	return in
}

// bothAnswer makes sure that pings of both families are answered.
func bothAnswer(t *testing.T) {
	t.Helper()
	for _, to := range bothClients {
		p, err := topo.StartPing(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Answered(10, 30*time.Second); err != nil {
			t.Error(err)
		}
		p.Stop()
	}
}
