//go:build lab

package examples

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// show returns each SA and each policy of a gateway as `ip xfrm` shows it, sorted, without keys and without what changes with every
// packet.
func show(t *testing.T, ns topo.Namespace) (all []string) {
	t.Helper()
	for _, list := range [][]string{{"state", "list", "nokeys"}, {"policy", "list"}} {
		out, err := exec.Command("ip", append([]string{"-n", string(ns), "xfrm"}, list...)...).Output()
		if err != nil {
			t.Fatalf("ip xfrm %s in %s: %v", list[0], ns, err)
		}
		var block strings.Builder
		end := func() {
			// charon's sockets have policies of their own.
			if s := block.String(); s != "" && !strings.Contains(s, "\tsocket ") {
				all = append(all, s)
			}
			block.Reset()
		}
		for line := range strings.Lines(string(out)) {
			switch {
			case strings.Contains(line, "anti-replay") || strings.Contains(line, "lastused"):
				continue
			case !strings.HasPrefix(line, "\t"):
				end()
			}
			block.WriteString(line)
		}
		end()
	}
	slices.Sort(all)
	return all
}

// replaced is for situations in which the plan does the same to all SAs and policies on both gateways.
func replaced(oldnew ...string) func(topo.Namespace, string) string {
	r := strings.NewReplacer(oldnew...)
	return func(_ topo.Namespace, shown string) string { return r.Replace(shown) }
}
