package rollback_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var (
	oldLocal = netip.MustParseAddr("192.0.2.1")
	newLocal = netip.MustParseAddr("198.51.100.1")
	peer     = netip.MustParseAddr("203.0.113.1")
)

// A shape is what a group's policies are like.
type shape struct {
	name       string
	unranked   bool // priority 0: nothing outranks it, so that blocks have to take its place
	reselected bool // the new policy matches other packets than the old one
	small      bool // its policies are replaced in place because they are few
}

var shapes = []shape{
	{name: "covered"}, {name: "in place", unranked: true}, {name: "other selector", reselected: true},
	{name: "in place, other selector", unranked: true, reselected: true}, {name: "small bins", small: true},
}

// world is a host with its kernel, its disk and what runs on it.
type world struct {
	k       *xfrmtest.Kernel
	dir     string
	state   *rollback.StateDir
	tunnels []xfrmtest.ChildSA
	shapes  []shape
	overs   *overs
	boot    string
	netns   string
	runs    int
	onError plan.OnError
	clock   time.Time     // CLOCK_REALTIME
	within  time.Duration // for the confirmation; 0 is none
	listens bool          // to what others do, as apply does. What it says and when depends on the time
	texts   []string      // all that was said
	watch   *oracle
}

// newWorld makes a host with one tunnel for each shape, all with some traffic behind them.
func newWorld(t testing.TB, shapes ...shape) *world {
	t.Helper()
	b := beginningOf(t, shapes)
	w := &world{dir: scratch(t), boot: "boot-1", netns: "wan", shapes: shapes, tunnels: b.tunnels, overs: &b.overs, onError: plan.OnErrorRollback, clock: b.clock}
	w.k = b.k.Clone(xfrmtest.WithClock(w.now), xfrmtest.WithChanges())
	w.open(t)
	w.watch = newOracle(w)
	return w
}

// now is CLOCK_REALTIME, which never stands still.
func (w *world) now() time.Time {
	w.clock = w.clock.Add(time.Millisecond)
	return w.clock
}

// beginning is what all worlds with the same shapes begin with. Nothing changes it.
type beginning struct {
	k       *xfrmtest.Kernel
	tunnels []xfrmtest.ChildSA
	clock   time.Time
	overs   overs
}

var beginnings sync.Map // of func() *beginning, by the shapes

func beginningOf(t testing.TB, shapes []shape) *beginning {
	t.Helper()
	make, _ := beginnings.LoadOrStore(fmt.Sprint(shapes), sync.OnceValue(func() *beginning { return begin(t, shapes) }))
	return make.(func() *beginning)()
}

func begin(t testing.TB, shapes []shape) *beginning {
	w := &world{clock: time.Unix(1_790_000_000, 0)}
	w.k = xfrmtest.New(xfrmtest.WithClock(w.now), xfrmtest.WithDumpInterrupted())
	w.tunnels = xfrmtest.ChildSAs(xfrmtest.Tunnels{N: len(shapes), Local: oldLocal, Remote: peer, SPIInTemplate: true, Dir: true})
	c := w.k.Dial()
	defer c.Close()
	for i := range w.tunnels {
		if shapes[i].unranked {
			for j := range w.tunnels[i].Policies {
				w.tunnels[i].Policies[j].Priority = 0
			}
		}
		if err := xfrmtest.Install(c, w.tunnels[i]); err != nil {
			t.Fatal(err)
		}
		for range 3 + i {
			w.k.Send(xfrmtest.Example(&w.tunnels[i].Policies[0].Sel))
		}
	}
	return &beginning{k: w.k, tunnels: w.tunnels, clock: w.clock, overs: overs{known: map[overKey][]int{}}}
}

// scratch makes a directory in memory where there is one: what a disk does with a sync is not what is tested here.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "xfrm-plan-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// remove removes the world's disk: those of many runs together would fill the memory.
func (w *world) remove() { os.RemoveAll(w.dir) }

func (w *world) open(t testing.TB) {
	t.Helper()
	var err error
	if w.state, err = rollback.OpenStateDir(w.dir); err != nil {
		t.Fatal(err)
	}
	w.state.Reboot(w.boot)
}

// compute plans the move to the new address from what the kernel holds.
func (w *world) compute(c *xfrm.Conn) (*plan.Plan, error) {
	sas, err := c.SAs()
	if err != nil {
		return nil, err
	}
	policies, err := c.Policies()
	if err != nil {
		return nil, err
	}
	p := plan.Compute(&plan.Document{
		Metadata: plan.Metadata{Name: "move"},
		Renumber: []plan.Renumber{{From: netip.PrefixFrom(oldLocal, 32), To: netip.PrefixFrom(newLocal, 32)}},
		Waves:    []plan.WaveSpec{{Name: "first", Count: 1}, {Name: "rest", Percent: 100}},
		IKE:      plan.IKE{Follow: plan.FollowNone},
	}, &plan.Inventory{SAs: sas, Policies: policies, Addresses: []netip.Addr{oldLocal, newLocal}})
	if len(p.Refusals) != 0 {
		return nil, fmt.Errorf("refused: %v", p.Refusals)
	}
	for gi := range p.Groups {
		if !w.shapes[w.tunnelOf(&p.Groups[gi])].reselected {
			continue
		}
		for i := range p.Groups[gi].Policies {
			pc := &p.Groups[gi].Policies[i]
			pc.New.Sel = reselect(pc.New.Sel)
		}
	}
	return p, nil
}

// tunnelOf tells which tunnel a group is.
func (w *world) tunnelOf(g *plan.Group) int { return int(g.Calls[0].SA.Reqid) - 1 }

// reselect turns 10.x.y.0 into 172.x.y.0 and fd00: into fc00:, at both ends.
func reselect(s xfrm.Selector) xfrm.Selector {
	for _, a := range []*xfrm.Address{&s.Src, &s.Dst} {
		switch a[0] {
		case 10:
			a[0] = 172
		case 0xfd:
			a[0] = 0xfc
		}
	}
	return s
}

// apply is `xfrm-plan apply --yes`. ok is false if the process was killed.
func (w *world) apply(p *process) (report *executor.Report, err error) {
	w.runs++
	name := fmt.Sprintf("20261124T0%05dZ-0000", w.runs)
	c := p.dial(w)
	defer c.Close()
	lock, err := w.state.Lock(w.k.Cookie())
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if open, err := w.state.Unfinished(w.k.Cookie()); err != nil || len(open) != 0 {
		return nil, fmt.Errorf("unfinished %v: %w", open, err)
	}
	computed, err := w.compute(c)
	if err != nil {
		return nil, err
	}
	p.begun(w)
	w.state.BreakFiles(p.file)
	defer w.state.BreakFiles(func(f rollback.File) rollback.File { return f })
	begun, err := rollback.Now()
	if err != nil {
		return nil, err
	}
	journal, err := w.state.Create(rollback.Header{
		Run: name, Plan: "move", Digest: "d", BootID: w.boot, NetNS: w.netns, Cookie: w.k.Cookie(), Started: w.clock, Boottime: begun,
	})
	if err != nil {
		return nil, err
	}
	var bins executor.Bins // unknown: nothing is replaced in place that can be covered
	if slices.ContainsFunc(w.shapes, func(s shape) bool { return s.small }) {
		policies, err := w.k.Dial().Policies()
		if err != nil {
			return nil, err
		}
		bins = executor.BinsOf(policies)
	}
	cfg := executor.Config{Conn: c, Journal: journal, Emit: w.hear, Run: name, OnError: w.onError, Parallelism: p.parallelism, Bins: bins}
	if w.listens {
		if cfg.Monitor, err = xfrm.NewMonitor(w.k.Socket(), xfrm.GroupSA, xfrm.GroupExpire); err != nil {
			return nil, err
		}
		defer cfg.Monitor.Close()
		cfg.Recompute = func() (*plan.Plan, *ike.Part, error) {
			p, err := w.compute(c)
			return p, nil, err
		}
	}
	report, err = executor.Run(p.ctx, computed, cfg)
	if w.within != 0 && err == nil {
		var now rollback.Boottime
		if now, err = rollback.Now(); err == nil {
			p.endErr = journal.Await(now + rollback.Boottime(w.within))
		}
	} else if report.Unsettled() == 0 {
		p.endErr = journal.End()
	} else {
		p.endErr = journal.Close()
	}
	if p.alive() {
		if werr := w.state.WriteReport(report); werr != nil {
			return report, werr
		}
	}
	return report, err
}

// recover is `xfrm-plan recover --yes`.
func (w *world) recover(p *process, towards executor.Outcome) error {
	c := p.dial(w)
	defer c.Close()
	lock, err := w.state.Lock(w.k.Cookie())
	if err != nil {
		return err
	}
	defer lock.Close()
	p.begun(w)
	w.state.BreakFiles(p.file)
	defer w.state.BreakFiles(func(f rollback.File) rollback.File { return f })
	if _, err := w.state.Bygone(w.netns, w.k.Cookie()); err != nil {
		return err
	}
	runs, err := w.state.Unfinished(w.k.Cookie())
	if err != nil {
		return err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		past, err := w.state.ReadJournal(runs[i])
		if err != nil {
			return err
		}
		report, err := w.state.Settle(p.ctx, past, towards, c, w.hear)
		p.report = report
		if err != nil {
			return err
		}
	}
	_, err = executor.Orphans(c)
	return err
}

func (w *world) hear(e executor.Event) {
	w.texts = append(w.texts, e.Group, e.Text)
}

// said collects an error's text, to be searched for keys.
func (w *world) said(err error) {
	if err != nil {
		w.texts = append(w.texts, err.Error())
	}
}

// process is one start of the program, with a fault that meets it.
type process struct {
	sockets     xfrmtest.Process
	fault       fault
	ctx         context.Context
	cancel      context.CancelFunc
	parallelism int
	endErr      error
	report      *executor.Report // of Settle

	started  bool       // the inventory was read: faults may come
	mu       sync.Mutex // guards what follows while the process runs
	points   []point
	journal  int // operations on its file
	occurred bool
}

func start(f fault) *process {
	p := &process{fault: f, parallelism: 1}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *process) begun(w *world) {
	p.started = true
	w.watch.begin()
}

func (p *process) alive() bool { return p.sockets.Alive() }

// dial opens a connection on which faults occur, and every message of which the oracle watches.
func (p *process) dial(w *world) *xfrm.Conn {
	return xfrm.NewConn(p.sockets.Socket(&stepper{w.k.Socket(), w.watch}, func(at xfrmtest.At) xfrmtest.Effect { return p.at(w, &at) }))
}

// stepper hands messages to the kernel one by one, for a packet can pass between any two, and shows each to the oracle.
type stepper struct {
	xfrm.Socket
	watch *oracle
}

func (s *stepper) Send(b []byte) error {
	for len(b) >= 16 {
		n := (int(b[0]) | int(b[1])<<8 | int(b[2])<<16 + 3) &^ 3
		n = min(n, len(b))
		if err := s.Socket.Send(b[:n]); err != nil {
			return err
		}
		s.watch.after(uint16(b[4]) | uint16(b[5])<<8)
		b = b[n:]
	}
	return nil
}
