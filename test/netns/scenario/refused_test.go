//go:build lab

package scenario

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// TestApplyTouchesNothing has the ways in which apply ends before it has begun.
func TestApplyTouchesNothing(t *testing.T) {
	build(t)
	manual(t, peers)
	for _, tt := range []struct {
		name     string
		from, to string
		prepare  func(*testing.T)
		before   []string // a command that starts the program
		code     int
		says     []string
	}{
		{name: "no SA matches", from: "192.0.2.77", to: "198.51.100.77", code: 0, says: []string{"No changes"}},
		{name: "the new address is not assigned", from: "192.0.2.1", to: "198.51.100.77", code: 4, says: []string{"198.51.100.77"}},
		{
			name: "no CAP_NET_ADMIN", from: "192.0.2.1", to: "198.51.100.1",
			before: []string{"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"},
			code:   4, says: []string{"CAP_NET_ADMIN"},
		},
		{
			name: "a foreign SA has the place", from: "192.0.2.1", to: "198.51.100.1",
			prepare: func(t *testing.T) { occupy(t, 1) },
			code:    5, says: []string{"target-occupied", "203.0.113.99"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.prepare != nil {
				tt.prepare(t)
			}
			before := snap(t)
			l, err := topo.Listen(topo.Left)
			if err != nil {
				t.Fatal(err)
			}
			got := finish(t, fromOutside(t, tt.before, plan(t, tt.from, tt.to, "")))
			heard, err := l.Stop()
			if err != nil || len(heard) > 0 {
				t.Errorf("the kernel announced %v, %v", heard, err)
			}
			expect(t, got, tt.code, tt.says...)
			if err := snap(t).Same(before); err != nil {
				t.Error(err)
			}
		})
	}
}

func finish(t *testing.T, cmd *exec.Cmd) topo.Outcome {
	t.Helper()
	o, err := topo.Finish(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func expect(t *testing.T, got topo.Outcome, code int, says ...string) {
	t.Helper()
	if got.Code != code {
		t.Errorf("exit code %d, want %d\n%s", got.Code, code, got.Output)
	}
	for _, s := range says {
		if !strings.Contains(got.Output, s) {
			t.Errorf("the output does not say %q:\n%s", s, got.Output)
		}
	}
}
