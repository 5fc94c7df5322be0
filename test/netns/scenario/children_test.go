//go:build lab

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// another is a second child for a connection, with the traffic selectors of one side.
func another(ns topo.Namespace, connection string) string {
	local, remote := "10.1.1.0/24", "10.2.1.0/24"
	if ns == topo.Right {
		local, remote = remote, local
	}
	return fmt.Sprintf("connections { %s { children { voice { local_ts = %s\n remote_ts = %s\n rekey_time = 24h\n esp_proposals = aes256gcm16 } } } }\n",
		connection, local, remote)
}

// TestChildSAsOfOneIKESAFollowInWaves has two Child SAs in one IKE SA, moved in a wave each: after the first one the IKE SA stays for the second.
func TestChildSAsOfOneIKESAFollowInWaves(t *testing.T) {
	n := build(t)
	if err := n.StartIKE(); err != nil {
		t.Fatal(err)
	}
	if err := n.LoadSuccessor(successor, topo.LeftISPB, topo.RightISP, ""); err != nil {
		t.Fatal(err)
	}
	for _, ns := range topo.Gateways {
		if err := n.LoadBeside(ns, another(ns, "site")+another(ns, successor)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Swanctl(topo.Left, "--initiate", "--ike", "site", "--child", "voice"); err != nil {
		t.Fatal(err)
	}
	observeBy(t, n, topo.MoveISPChange, (*topo.Observation).ChecksWithDaemon, func() {
		o := applyPlan(t, n, topo.Left, ikePlan(t, n, topo.Left, topo.LeftISPA, topo.LeftISPB,
			follow+"\nwaves: [{name: one, size: 1}, {name: other, size: 100%}]"))
		expect(t, o, 0, "2 of 2 groups done", "site-b/lan", "site-b/voice")
	})
	for _, ns := range topo.Gateways {
		err := topo.Until(60*time.Second, func() (bool, error) {
			listed, err := n.Swanctl(ns, "--list-sas", "--raw")
			if err != nil {
				return false, err
			}
			sas, err := ns.SAD()
			return slices.Equal(spisOf(listed), spisIn(sas)) && len(sas) == 4 && !strings.Contains(listed, topo.LeftISPA.String()), err
		})
		if err != nil {
			listed, _ := n.Swanctl(ns, "--list-sas")
			s, _ := topo.Snap(ns)
			t.Errorf("%s: %v\n%s\n%+v", ns, err, listed, s.SAs)
		}
	}
	if t.Failed() {
		dump(t, n)
	}
}
