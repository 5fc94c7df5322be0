//go:build lab

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestManualKeysMayBeLost moves SAs that no daemon could set up again, because there is none: only if the plan accepts that.
func TestManualKeysMayBeLost(t *testing.T) {
	n := build(t)
	manual(t, peers)
	apply := func(accept string) topo.Outcome {
		file := filepath.Join(t.TempDir(), "plan.yaml")
		text := fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: scenario}\nrenumber: [{from: %v, to: %v}]\n"+
			"onExist: reestablish\nreestablish: {driver: vici, socket: %s%s}\n", topo.LeftISPA, topo.LeftISPB, n.Socket(topo.Left), accept)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return applyPlan(t, n, topo.Left, file)
	}
	before := snap(t)
	expect(t, apply(""), 5, "unowned", "does not run", "accept-loss")
	if err := snap(t).Same(before); err != nil {
		t.Error(err)
	}
	expect(t, apply(", unowned: accept-loss"), 0)
	for _, sa := range snap(t).SAs {
		if sa.Src != topo.LeftISPB && sa.Dst != topo.LeftISPB {
			t.Errorf("an SA %v > %v", sa.Src, sa.Dst)
		}
	}
}
