//go:build lab

package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	program := filepath.Join(dir, "bring-up")
	text := fmt.Sprintf("#!/bin/sh -e\ncat > %[1]s/in\nexport STRONGSWAN_CONF=$(dirname %[3]s)/strongswan.conf\nswanctl --initiate --ike %[2]s --child lan --uri unix://%[3]s\nswanctl --terminate --ike site --force --uri unix://%[3]s\n"+
		"ip xfrm state delete src %[4]v dst %[5]v proto esp spi $(sed 's/.*\"direction\":\"out\"[^}]*\"spi\":\"\\([^\"]*\\)\".*/\\1/' %[1]s/in) || true\n"+
		"ip xfrm state delete src %[5]v dst %[4]v proto esp spi $(sed 's/.*\"direction\":\"in\"[^}]*\"spi\":\"\\([^\"]*\\)\".*/\\1/' %[1]s/in)\n",
		dir, successor, n.Socket(topo.Left), topo.LeftISPB, topo.RightISP)
	file := filepath.Join(dir, "plan.yaml")
	plan := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
		"ike: {follow: reestablish}\nreestablish: {driver: command, command: [%s]}\n", topo.LeftISPA, topo.LeftISPB, program)
	for path, text := range map[string]string{program: text, file: plan} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	observeLoss(t, n, topo.MoveISPChange, func() { // the peer stays where it was until the script has started its programs, however slow the machine

		expect(t, applyPlan(t, n, topo.Left, file), 0, "1 of 1 groups done")
	})
	agree(t, n, topo.LeftISPA.String())
	for _, to := range []string{topo.Client4, topo.Client6} {
		p, err := topo.StartPing(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Answered(10, 30*time.Second); err != nil {
			t.Error(err)
		}
		p.Stop()
	}
	var in struct {
		Lost bool
		SAs  []struct{ SPI string }
	}
	b, err := os.ReadFile(filepath.Join(dir, "in"))
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err != nil || in.Lost || len(in.SAs) != 2 {
		t.Errorf("it read %s, %v", b, err)
	}
	if t.Failed() {
		dump(t, n)
	}
}
