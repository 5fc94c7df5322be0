//go:build lab

package examples

import (
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// oneBranch has the left gateway as the hub and the right one as the branch; two more branches exist on the hub only.
var oneBranch = situation{
	name:  "one branch of a hub",
	plans: onBoth("one-branch-of-a-hub.yaml"),
	setUp: func(t *testing.T, _ *topo.Network) {
		install(t, []tunnel{{reqid: 1, left: "192.0.2.1", right: "203.0.113.1", inner: dualStack, saWords: "flag af-unspec"}})
		install(t, []tunnel{
			{reqid: 2, left: "192.0.2.1", right: "203.0.113.2", inner: [][2]string{{"10.1.0.0/24", "10.3.0.0/24"}}},
			{reqid: 3, left: "192.0.2.1", right: "203.0.113.3", inner: [][2]string{{"10.1.0.0/24", "10.4.0.0/24"}}},
		}, topo.Left)
	},
	pings: both4and6,
	moved: func(_ topo.Namespace, shown string) string {
		if !strings.Contains(shown, "reqid 1 ") && !strings.Contains(shown, "reqid 1(") {
			return shown
		}
		return strings.ReplaceAll(shown, "192.0.2.1", "198.51.100.1")
	},
}
