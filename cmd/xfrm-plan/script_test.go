package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestScripts runs the program as an operator would, on a kernel in memory. Besides testscript's own commands there are
//
//	exits CODE xfrm-plan ARGS...  runs the program, which has to end with CODE; stdout and stderr can be matched after
//	tunnels N [PRIORITY]          makes N dual-stack Child SAs from 192.0.2.1 to 203.0.113.1
//	kernel KIND                   starts afresh with a kernel that is new, old or unconfigured, or makes it unprivileged
//	occupy                        puts a foreign SA at 198.51.100.1 with the SPI of the first tunnel
//	occupies-later                does so only when the first MIGRATE_STATE is on its way
//	dies                          kills the program when the first MIGRATE_STATE is on its way
//	spoil FILE                    puts garbage at its end
//	last-run                      sets $RUN to the last run
//	loses ADDRESS                 takes an address off the host
//	rekey                         re-keys the first tunnel's outbound SA
//	confirms                      gives the word in the background as soon as a run awaits it
//	clean                         fails if a tagged policy is left
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[hostKey{}] = newMemoryHost()
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "tunnels": cmdTunnels, "kernel": cmdKernel, "occupy": cmdOccupy, "loses": cmdLoses,
			"clean": cmdClean, "rekey": cmdRekey, "confirms": cmdConfirms,
			"occupies-later": cmdOccupiesLater, "last-run": cmdLastRun, "dies": cmdDies, "spoil": cmdSpoil,
		},
	})
}

type hostKey struct{}

func hostOf(ts *testscript.TestScript) *memoryHost { return ts.Value(hostKey{}).(*memoryHost) }

// memoryHost is a host with a kernel in memory.
type memoryHost struct {
	kernel    *xfrmtest.Kernel
	addresses []netip.Addr
	fault     xfrmtest.Fault // of sockets that are opened from now on
	wrap      func(xfrm.Socket) xfrm.Socket
}

func newMemoryHost(opts ...xfrmtest.Option) *memoryHost {
	h := &memoryHost{kernel: xfrmtest.New(opts...)}
	for _, a := range []string{"192.0.2.1", "198.51.100.1", "2001:db8:20::1"} {
		h.addresses = append(h.addresses, netip.MustParseAddr(a))
	}
	return h
}

func (h *memoryHost) Dial() (*xfrm.Conn, error) {
	if h.wrap != nil {
		return xfrm.NewConn(h.wrap(h.kernel.Socket())), nil
	}
	if h.fault != nil {
		return xfrm.NewConn(xfrmtest.Faulty(h.kernel.Socket(), h.fault)), nil
	}
	return xfrm.NewConn(h.kernel.Socket()), nil
}

func (h *memoryHost) Monitor() (*xfrm.Monitor, error) {
	return xfrm.NewMonitor(h.kernel.Socket(), xfrm.GroupSA)
}

func (h *memoryHost) DialReadOnly() (*xfrm.Conn, error) {
	return xfrm.NewConn(xfrm.ReadOnly(h.kernel.Socket())), nil
}

func (h *memoryHost) Inventory(c *xfrm.Conn) (*plan.Inventory, error) {
	sas, err := c.SAs()
	if err != nil {
		return nil, err
	}
	policies, err := c.Policies()
	return &plan.Inventory{SAs: sas, Policies: policies, Addresses: h.addresses}, err
}

func (h *memoryHost) Addresses() ([]netip.Addr, error) { return h.addresses, nil }

func (h *memoryHost) HasRoute(local, _ netip.Addr) (bool, error) {
	for _, a := range h.addresses {
		if a == local {
			return true, nil
		}
	}
	return false, nil
}

func (h *memoryHost) Close() error   { return nil }
func (h *memoryHost) String() string { return "the current network namespace" }

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "xfrm-plan" {
		ts.Fatalf("usage: exits CODE xfrm-plan ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	p := scriptProgram(ts, ts.Stdout())
	full := append(stateDir(ts), args[2:]...)
	for i, a := range full {
		if strings.HasSuffix(a, ".yaml") || strings.HasSuffix(a, ".plan") {
			full[i] = ts.MkAbs(a)
		}
	}
	if got := p.run(context.Background(), full); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func stateDir(ts *testscript.TestScript) []string {
	return []string{"--state-dir", filepath.Join(ts.Getenv("WORK"), "state")}
}

// scriptProgram is the program on the script's host. Its watchdogs are goroutines.
func scriptProgram(ts *testscript.TestScript, out io.Writer) *program {
	h := hostOf(ts)
	p := &program{
		in: strings.NewReader(""), out: out, err: ts.Stderr(),
		open:     func(string) (namespace, error) { return h, nil },
		announce: func(string) {},
	}
	p.detach = p.watchdogHere
	return p
}

// watchdogHere starts a watchdog that is a goroutine.
func (p *program) watchdogHere(_ string, args []string) error {
	ready := make(chan struct{})
	w := *p
	w.out = writerFunc(func(b []byte) (int, error) { close(ready); return len(b), nil })
	go w.run(context.Background(), args)
	<-ready
	return nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// cmdConfirms gives the word as soon as a run awaits it.
func cmdConfirms(ts *testscript.TestScript, _ bool, _ []string) {
	p, args := scriptProgram(ts, io.Discard), append(stateDir(ts), "confirm")
	state, err := rollback.OpenStateDir(args[1])
	ts.Check(err)
	go func() {
		for {
			if runs, err := state.Awaiting(); err != nil || len(runs) != 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		for p.run(context.Background(), args) == exitBusy { // apply has not let go yet
			time.Sleep(10 * time.Millisecond)
		}
	}()
}

func cmdTunnels(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	c, _ := hostOf(ts).Dial()
	defer c.Close()
	for _, child := range xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: n, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), SPIInTemplate: true,
	}) {
		ts.Check(xfrmtest.AddSA(c, child.In, child.InAlg))
		ts.Check(xfrmtest.AddSA(c, child.Out, child.OutAlg))
		for i := range child.Policies {
			if len(args) == 2 {
				priority, err := strconv.ParseUint(args[1], 10, 32)
				ts.Check(err)
				child.Policies[i].Priority = uint32(priority)
			}
			ts.Check(c.Do(xfrm.NewPolicy(&child.Policies[i]))[0])
		}
	}
}

func cmdKernel(ts *testscript.TestScript, _ bool, args []string) {
	opts := map[string]xfrmtest.Option{
		"old":          xfrmtest.WithMigration(xfrmtest.MigrationUnknown),
		"unconfigured": xfrmtest.WithMigration(xfrmtest.MigrationUnconfigured),
	}
	h := hostOf(ts)
	if args[0] == "unprivileged" {
		h.kernel.SetPrivilege(false)
		return
	}
	if opt := opts[args[0]]; opt != nil {
		*h = *newMemoryHost(opt)
	} else {
		*h = *newMemoryHost()
	}
}

func cmdOccupy(ts *testscript.TestScript, _ bool, _ []string) {
	c, _ := hostOf(ts).Dial()
	defer c.Close()
	child := xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 1, Local: netip.MustParseAddr("198.51.100.1"), Remote: netip.MustParseAddr("203.0.113.99"),
	})[0]
	child.In.Reqid = 4711
	ts.Check(xfrmtest.AddSA(c, child.In, child.InAlg))
}

func cmdOccupiesLater(ts *testscript.TestScript, _ bool, _ []string) {
	h := hostOf(ts)
	occupied := false
	h.fault = func(at xfrmtest.At) xfrmtest.Effect {
		const probe = 1 // message alone asks whether the kernel knows MIGRATE_STATE
		if occupied || at.Point != xfrmtest.BeforeSend || !at.Has(xfrm.MsgMigrateState) || len(at.Messages) == probe {
			return xfrmtest.Effect{}
		}
		occupied, h.fault = true, nil
		return xfrmtest.Effect{Run: func() { cmdOccupy(ts, false, nil) }}
	}
}

func cmdDies(ts *testscript.TestScript, _ bool, _ []string) {
	h := hostOf(ts)
	var process xfrmtest.Process
	h.wrap = func(s xfrm.Socket) xfrm.Socket {
		return process.Socket(s, func(at xfrmtest.At) xfrmtest.Effect {
			const probe = 1
			if at.Point != xfrmtest.BeforeSend || !at.Has(xfrm.MsgMigrateState) || len(at.Messages) == probe {
				return xfrmtest.Effect{}
			}
			h.wrap = nil
			return xfrmtest.Effect{Kill: true}
		})
	}
}

func cmdSpoil(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.Write(make([]byte, 100))
	ts.Check(errors.Join(err, f.Close()))
}

func cmdLastRun(ts *testscript.TestScript, _ bool, _ []string) {
	state, err := rollback.OpenStateDir(stateDir(ts)[1])
	ts.Check(err)
	runs, err := state.Runs()
	ts.Check(err)
	var last rollback.Header
	for _, run := range runs { // several of one second are in no order
		past, err := state.ReadJournal(run)
		if err == nil && past.Header.Started.After(last.Started) { // else it is set aside
			last = past.Header
		}
	}
	ts.Setenv("RUN", last.Run)
}

func cmdLoses(ts *testscript.TestScript, _ bool, args []string) {
	h := hostOf(ts)
	var kept []netip.Addr
	for _, a := range h.addresses {
		if a.String() != args[0] {
			kept = append(kept, a)
		}
	}
	h.addresses = kept
}

func cmdClean(ts *testscript.TestScript, _ bool, _ []string) {
	c, _ := hostOf(ts).Dial()
	defer c.Close()
	policies, err := c.Policies()
	ts.Check(err)
	for i := range policies {
		if policies[i].Sel.User != 0 || policies[i].Action != xfrm.Allow {
			ts.Fatalf("policy %v %v is left behind", policies[i].Dir, policies[i].Sel)
		}
	}
}

func cmdRekey(ts *testscript.TestScript, _ bool, _ []string) {
	out := xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 1, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"),
	})[0].Out
	ts.Check(hostOf(ts).kernel.Rekey(out.ID, out.Mark, 0xcafe0001, true))
}
