package main

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// asked is a program on a terminal that is answered yes each time, after something has happened meanwhile.
func asked(t *testing.T, out io.Writer, meanwhile func(h *memoryHost)) (p *program, args []string, questions *int) {
	t.Helper()
	p, args = withTunnels(t, 2, out)
	ns, err := p.open("")
	if err != nil {
		t.Fatal(err)
	}
	master, slave := pty(t)
	p.in = slave
	questions = new(int)
	p.err = writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("Write yes")) {
			*questions++
			meanwhile(ns.(*memoryHost))
			_, err := master.WriteString("yes\n")
			return len(b), err
		}
		return out.Write(b)
	})
	return p, []string{args[0], args[1], "apply", args[len(args)-1]}, questions
}

func withPlan(t *testing.T, args []string, text string) {
	t.Helper()
	if err := os.WriteFile(args[len(args)-1], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLateAnswer has the operator think for a while about what he was shown.
func TestLateAnswer(t *testing.T) {
	end := time.Now().Add(2 * time.Second).UTC()
	first := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1")})[0].Out
	added := false
	for _, tc := range []struct {
		name, plan string
		meanwhile  func(h *memoryHost)
		code       int
		questions  int
		says       string
	}{
		{"nothing has changed", movePlan, func(*memoryHost) {}, exitOK, 1, "2 of 2 groups done"},
		{"the window has closed", movePlan + "window: {notAfter: " + end.Format(time.RFC3339Nano) + "}\n", func(*memoryHost) {
			time.Sleep(time.Until(end) + time.Millisecond)
		}, exitHostCannot, 1, "the plan's window closed at"},
		{"the address has gone", movePlan, func(h *memoryHost) { h.addresses = h.addresses[:1] }, exitHostCannot, 1, "198.51.100.1 is not assigned"},
		{"an SA was re-keyed", movePlan, func(h *memoryHost) {
			if err := h.kernel.Rekey(first.ID, first.Mark, 0xcafe0001, true); err != nil {
				t.Error(err)
			}
		}, exitOK, 1, "2 of 2 groups done"},
		{"a tunnel has come up", movePlan, func(h *memoryHost) {
			if !added {
				added = true
				addTunnels(t, h.kernel, 9, 1)
			}
		}, exitOK, 2, "3 of 3 groups done"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			p, args, questions := asked(t, &out, tc.meanwhile)
			withPlan(t, args, strings.Replace(tc.plan, "pause: 1s", "pause: 1ms", 1))
			if code := p.run(t.Context(), args); code != tc.code || *questions != tc.questions || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit status %d after %d questions, want %d after %d and %q:\n%s", code, *questions, tc.code, tc.questions, tc.says, out.String())
			}
			if again := strings.Contains(out.String(), "computed again"); again {
				t.Errorf("the run found what was known before it began:\n%s", out.String())
			}
		})
	}
}

// fleetingHost loses its new address once a tunnel is there.
type fleetingHost struct{ *memoryHost }

func (h fleetingHost) Addresses() ([]netip.Addr, error) {
	if hasMoved(h.kernel) {
		return h.addresses[:1], nil
	}
	return h.addresses, nil
}

// TestNoWaveBeginsUnready has the host, or the plan's window, change in the pause between two waves.
func TestNoWaveBeginsUnready(t *testing.T) {
	short := strings.Replace(movePlan, "pause: 1s", "pause: 1ms", 1)
	end := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)
	for _, tc := range []struct {
		name, plan string
		host       func(*memoryHost) namespace
		says       []string
	}{
		{"the address has gone", short, func(h *memoryHost) namespace { return fleetingHost{h} },
			[]string{"0 of 2 groups done, 1 undone, 1 untouched", "wave rest was not begun: this host is not ready: 198.51.100.1 is not assigned"}},
		{"and what is done is left", short + "onError: stop\n", func(h *memoryHost) namespace { return fleetingHost{h} },
			[]string{"1 of 2 groups done, 1 untouched", "wave rest was not begun"}},
		{"the window has closed", strings.Replace(movePlan, "pause: 1s", "pause: 2s", 1) + "window: {notAfter: " + end + "}\nonError: stop\n",
			func(h *memoryHost) namespace { return h },
			[]string{"1 of 2 groups done, 1 untouched", "wave rest was not begun: the plan's window closed at"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			p, args := withTunnels(t, 2, &out)
			withPlan(t, args, tc.plan)
			ns, _ := p.open("")
			host := tc.host(ns.(*memoryHost))
			p.open = func(string) (namespace, error) { return host, nil }
			if code := p.run(t.Context(), args); code != exitUndone {
				t.Errorf("exit status %d, want %d", code, exitUndone)
			}
			for _, want := range tc.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
