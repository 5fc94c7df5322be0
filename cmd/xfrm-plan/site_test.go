package main

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// site is a host with tunnels from 192.0.2.1, on which the program runs again and again.
type site struct {
	t       *testing.T
	p       *program
	h       *memoryHost
	dir     string // the state directory
	state   *rollback.StateDir
	plan    string // moves the tunnels to 198.51.100.1
	onward  string // and this on to 198.51.100.9
	guarded bool   // watchdogs come to their posts
	dogs    chan int

	mu   sync.Mutex // guards told
	told []string   // to everybody who is logged in
}

func newSite(t *testing.T, n int) *site {
	p, args := withTunnels(t, n, io.Discard)
	s := &site{t: t, p: p, dir: args[1], plan: args[len(args)-1], guarded: true, dogs: make(chan int, 10)}
	ns, err := p.open("")
	if err != nil {
		t.Fatal(err)
	}
	s.h = ns.(*memoryHost)
	s.h.addresses = append(s.h.addresses, netip.MustParseAddr("198.51.100.9"))
	s.onward = filepath.Join(t.TempDir(), "onward.yaml")
	text := strings.NewReplacer("192.0.2.1", "198.51.100.1", "198.51.100.1", "198.51.100.9").Replace(movePlan)
	if err := os.WriteFile(s.onward, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.announce = func(text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, text)
	}
	p.detach = s.detach
	if s.state, err = rollback.OpenStateDir(s.dir); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) detach(_ string, args []string) error {
	if !s.guarded {
		return nil
	}
	ready := make(chan struct{})
	w := *s.p
	w.out = writerFunc(func(b []byte) (int, error) { close(ready); return len(b), nil })
	go func() { s.dogs <- w.run(context.Background(), args) }()
	<-ready
	return nil
}

// runs runs the program, which has to end with the code and to say each of the texts.
func (s *site) runs(code int, says []string, args ...string) {
	s.t.Helper()
	var out bytes.Buffer
	p := *s.p
	p.out, p.err = &out, &out
	if got := p.run(s.t.Context(), append([]string{"--state-dir", s.dir}, args...)); got != code {
		s.t.Errorf("%v: exit status %d, want %d\n%s", args, got, code, out.String())
	}
	for _, text := range says {
		if !strings.Contains(out.String(), text) {
			s.t.Errorf("%v does not say %q:\n%s", args, text, out.String())
		}
	}
}

// awaiting starts an apply and returns when it awaits its confirmation. end returns what it ends with.
func (s *site) awaiting(ctx context.Context, within string) (end func() (int, string)) {
	s.t.Helper()
	var out bytes.Buffer
	p, code := *s.p, make(chan int, 1)
	p.out, p.err = &out, &out
	go func() {
		code <- p.run(ctx, []string{"--state-dir", s.dir, "apply", "--yes", "--confirm-within", within, s.plan})
	}()
	s.until(func() bool {
		runs, err := s.state.Awaiting()
		if err != nil || len(runs) == 0 {
			return false
		}
		lock, err := s.state.Lock(s.h.kernel.Cookie())
		if err == nil {
			lock.Close()
		}
		return err == nil
	})
	return func() (int, string) {
		select {
		case c := <-code:
			return c, out.String()
		case <-time.After(30 * time.Second):
			s.t.Fatal("apply still waits")
			return 0, ""
		}
	}
}

func (s *site) until(f func() bool) {
	s.t.Helper()
	for begun := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			s.t.Fatal("it does not come")
		}
	}
}

// last is the run that began last.
func (s *site) last() string {
	s.t.Helper()
	run, err := s.state.Latest(s.h.kernel.Cookie())
	if err != nil || run == "" {
		s.t.Fatal(run, err)
	}
	return run
}

// diesAt kills the next apply when the nth of its groups is on its way.
func (s *site) diesAt(n int) {
	var process xfrmtest.Process
	s.h.wrap = func(socket xfrm.Socket) xfrm.Socket {
		return process.Socket(socket, func(at xfrmtest.At) xfrmtest.Effect {
			const probe = 1
			if at.Point != xfrmtest.AfterSend || !at.Has(xfrm.MsgMigrateState) || len(at.Messages) == probe {
				return xfrmtest.Effect{}
			}
			if n--; n != 0 {
				return xfrmtest.Effect{}
			}
			s.h.wrap = nil
			return xfrmtest.Effect{Kill: true}
		})
	}
}

// at returns how many SAs have the address at an end.
func (s *site) at(address string) (n int) {
	a := netip.MustParseAddr(address)
	for _, sa := range s.h.kernel.Snapshot().SAs {
		if sa.SrcIP() == a || sa.ID.DstIP() == a {
			n++
		}
	}
	return n
}

func (s *site) isAt(address string, n int) {
	s.t.Helper()
	if got := s.at(address); got != n {
		s.t.Errorf("%d SAs are at %s, want %d", got, address, n)
	}
}
