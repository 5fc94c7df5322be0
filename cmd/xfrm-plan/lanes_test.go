package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// deafHost can't be listened to.
type deafHost struct {
	*memoryHost
	why string
}

func (h deafHost) Monitor() (*xfrm.Monitor, error) { return nil, errors.New(h.why) }

// TestErrorOfOneNamespaceHidesNothingOfTheOther applies a plan in two network namespaces.
func TestErrorOfOneNamespaceHidesNothingOfTheOther(t *testing.T) {
	refuses := func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.BeforeSend && at.Has(xfrm.MsgMigrateState) && len(at.Messages) > 1 { // a single one is the probe
			return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{len(at.Messages) - 1: {Truth: xfrmtest.NotDone, Errno: unix.EEXIST}}}
		}
		return xfrmtest.Effect{}
	}
	for _, tt := range []struct {
		name string
		a    func(h *memoryHost) namespace
		code int
		says []string
	}{
		{"moved", func(h *memoryHost) namespace { return h }, exitUnexpected, []string{"1 of 1 groups done", "b: no ears"}},
		{"failed and undone", func(h *memoryHost) namespace { h.fault = refuses; return h }, exitUndone, []string{"1 undone", "b: no ears"}},
		{"failed in the same way", func(h *memoryHost) namespace { return deafHost{h, "no eyes"} }, exitUnexpected, []string{"a: no eyes", "b: no ears"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			p, args := withTunnels(t, 1, &out)
			p.err = &out
			host, err := p.open("a")
			if err != nil {
				t.Fatal(err)
			}
			other, _ := withTunnels(t, 1, &out)
			beside, err := other.open("b")
			if err != nil {
				t.Fatal(err)
			}
			beside.(*memoryHost).kernel = beside.(*memoryHost).kernel.Clone(xfrmtest.WithCookie(77))
			hosts := map[string]namespace{"a": tt.a(host.(*memoryHost)), "b": deafHost{beside.(*memoryHost), "no ears"}}
			p.open = func(name string) (namespace, error) { return hosts[name], nil }
			file := args[len(args)-1]
			if err := os.WriteFile(file, []byte(movePlan+"\ntargets: [{netns: a}, {netns: b}]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if code := p.run(t.Context(), args); code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, s := range tt.says {
				if !strings.Contains(out.String(), s) {
					t.Errorf("it does not say %q", s)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}
