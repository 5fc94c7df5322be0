package executor_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// daemon is an IKE daemon in memory: what it sets up it installs in the kernel, as charon does.
type daemon struct {
	t *testing.T
	k *xfrmtest.Kernel

	mu       sync.Mutex // guards everything below
	children []ike.ChildSA
	told     []string
	fail     map[string]error // of Establish, by group
	failOf   map[string]error // of Establish, by Child SA
	idle     map[string]bool  // Child SAs that the peer doesn't use at once
	blocked  func() int       // counts blocks
	open     int              // Child SAs that were set up for a lost one without a block
	dies     string           // where the program that asks is killed
	die      func()
	began    func() // when it is first told to establish something; nil is nothing
	sharing  *sharing
	shape    func(*xfrmtest.ChildSA) // changes what it sets up; nil leaves it
}

func (d *daemon) String() string { return "the daemon" }

func (d *daemon) ChildSAs(context.Context) ([]ike.ChildSA, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.children), nil
}

func (d *daemon) Check(context.Context, *ike.Move) error { return nil }

// next is the SPI of the next SA.
func (d *daemon) next() xfrm.SPI { return 0xd0000000 + xfrm.SPI(len(d.told)*2) }

func (d *daemon) Establish(ctx context.Context, m *ike.Move) (ike.ChildSA, error) {
	if d.began != nil {
		d.began()
	}
	if d.killed("before establishing") {
		return ike.ChildSA{}, xfrmtest.Killed
	}
	c, err := d.establish(ctx, m)
	if d.killed("after establishing") {
		return ike.ChildSA{}, xfrmtest.Killed
	}
	return c, err
}

// killed reports whether the program that asks is dead, and kills it if this is where that is to happen.
func (d *daemon) killed(at string) bool {
	if d.dies == at {
		d.die()
		return true
	}
	return false
}

func (d *daemon) establish(_ context.Context, m *ike.Move) (ike.ChildSA, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, fmt.Sprintf("establish %s at %v", m.Old[0].Child, m.Local))
	if err := d.fail[m.Group]; err != nil {
		return ike.ChildSA{}, err
	}
	if err := d.failOf[m.Old[0].Child]; err != nil {
		return ike.ChildSA{}, err
	}
	if m.Lost && d.blocked() == 0 {
		d.open++
	}
	for _, c := range d.children {
		if c.Local == m.Local && c.Child == m.Old[0].Child && !slices.ContainsFunc(m.Old, func(o ike.ChildSA) bool { return o.In == c.In }) {
			return c, nil
		}
	}
	if d.sharing != nil {
		d.drop(slices.DeleteFunc(slices.Clone(m.Old), func(o ike.ChildSA) bool { return o.Local != m.Local })) // as the connection that is lost itself
	}
	return d.install(m.Old[0], m.Local), nil
}

// install sets up a Child SA like another one at another local address.
func (d *daemon) install(like ike.ChildSA, local netip.Addr) ike.ChildSA {
	n := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: max(0, int(like.Reqid)-1), Local: local, Remote: like.Remote, Dir: true})[0]
	n.In.ID.SPI, n.Out.ID.SPI = d.next(), d.next()+1
	child := like
	if d.sharing != nil {
		d.sharing.another(&n, &child)
	}
	if d.shape != nil {
		d.shape(&n)
	}
	c := d.k.Dial()
	defer c.Close()
	reqs := n.Requests()
	for i := range n.Policies {
		reqs[2+i] = xfrm.UpdatePolicy(&n.Policies[i])
	}
	if err := errors.Join(c.Do(reqs...)...); err != nil {
		d.t.Error(err)
	}
	if !d.idle[like.Child] {
		d.k.Receive(xfrmtest.Arrival{Outer: &n.In.ID, Inner: xfrmtest.Packet{}}) // the peer uses it at once
	}
	child.Connection, child.Local, child.In, child.Out = "new", local, n.In.ID.SPI, n.Out.ID.SPI
	if d.sharing != nil && local == d.sharing.first {
		child.Connection = "old" // each connection has its own addresses
	}
	d.children = append(d.children, child)
	return child
}

// Retire deletes SAs where the daemon believes them to be.
func (d *daemon) Retire(ctx context.Context, old []ike.ChildSA) error {
	if d.killed("before retiring") {
		return xfrmtest.Killed
	}
	err := d.retire(ctx, old)
	if d.killed("after retiring") {
		return xfrmtest.Killed
	}
	return err
}

func (d *daemon) retire(_ context.Context, old []ike.ChildSA) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(old)
	return nil
}

// drop forgets Child SAs and deletes their SAs.
func (d *daemon) drop(old []ike.ChildSA) {
	for _, o := range old {
		at := slices.IndexFunc(d.children, func(c ike.ChildSA) bool { return c.In == o.In })
		if at < 0 {
			continue
		}
		d.told = append(d.told, fmt.Sprintf("retire %s at %v", o.Child, o.Local))
		d.children = slices.Delete(d.children, at, at+1)
		for _, id := range []xfrm.SAID{said(o.Local, o.In), said(o.Remote, o.Out)} {
			if err := d.k.DeleteSA(id, xfrm.Mark{}); err != nil && !errors.Is(err, unix.ESRCH) {
				d.t.Error(err)
			}
		}
		if d.sharing != nil {
			d.sharing.takePolicies(d)
		}
	}
}

func said(dst netip.Addr, spi xfrm.SPI) xfrm.SAID {
	return xfrm.SAID{Dst: xfrm.AddressFrom(dst), SPI: spi, Family: xfrm.FamilyOf(dst), Proto: xfrm.ProtoESP}
}

// owned gives the tunnels of a bench to a daemon that has a part in the run.
func owned(t *testing.T, b *bench, follow, onLoss bool) *daemon {
	t.Helper()
	d := &daemon{t: t, k: b.k, fail: map[string]error{}, blocked: b.blocks}
	part := &ike.Part{Driver: d, Follow: follow, OnLoss: onLoss, Config: plan.Reestablish{Timeout: 5 * time.Second}, Moves: make([][]ike.Move, len(b.plan.Groups))}
	part.Note = func(n ...ike.Note) error {
		b.journal.mu.Lock()
		defer b.journal.mu.Unlock()
		b.notes = append(b.notes, n...)
		return nil
	}
	for i := range b.plan.Groups {
		m := ownedMove(&b.plan.Groups[i])
		d.children = append(d.children, m.Old...)
		part.Moves[i] = []ike.Move{m}
	}
	b.cfg.IKE = part
	return d
}

// ownedMove is a daemon's part in a group that is one Child SA.
func ownedMove(g *plan.Group) ike.Move {
	m := ike.Move{Group: g.Name, OldLocal: g.Calls[0].Local(), OldRemote: g.Calls[0].Remote(), Local: g.Calls[0].NewLocal(), Remote: g.Calls[0].NewRemote()}
	reqid := g.Calls[0].SA.Reqid
	c := ike.ChildSA{Connection: "old", Child: fmt.Sprint("c", reqid-1), Up: true, Local: m.OldLocal, Remote: m.OldRemote, Proto: xfrm.ProtoESP, Mode: xfrm.ModeTunnel,
		Reqid: reqid, LocalTS: []string{g.Name}}
	for _, call := range g.Calls {
		if call.Dir == xfrm.SADirIn {
			c.In = call.SA.ID.SPI
		} else {
			c.Out = call.SA.ID.SPI
		}
	}
	m.Old = []ike.ChildSA{c}
	return m
}

// blocks counts block policies.
func (b *bench) blocks() (n int) {
	for _, p := range b.k.Snapshot().Policies {
		if p.Action == xfrm.Block {
			n++
		}
	}
	return n
}

// steps lists what was noted of a group.
func (b *bench) steps(group string) (all []ike.Step) {
	for _, n := range b.notes {
		if n.Group == group {
			all = append(all, n.Step)
		}
	}
	return all
}

func TestDaemonFollowsAfterEachWave(t *testing.T) {
	b := newBench(t, 3, nil, plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	d := owned(t, b, true, false)
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || r.Count(executor.Done) != 3 || b.tagged() != 0 {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
	if sas := b.k.Snapshot().SAs; len(sas) != 6 || slices.ContainsFunc(sas, func(sa *xfrmtest.SA) bool { return sa.ID.SPI < 0xd0000000 }) {
		t.Errorf("%d SAs are left, want six that the daemon has set up", len(sas))
	}
	if len(d.told) != 6 || !strings.HasPrefix(d.told[1], "retire") {
		t.Errorf("the daemon was told %q", d.told)
	}
	want := []ike.Step{ike.Intended, ike.Establishing, ike.Retiring, ike.Followed}
	if got := b.steps(b.plan.Groups[0].Name); !slices.Equal(got, want) {
		t.Errorf("noted %v, want %v", got, want)
	}
}

func TestGroupStaysMovedWhenItsDaemonCannotFollow(t *testing.T) {
	b := newBench(t, 3, nil, plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	d := owned(t, b, true, false)
	d.fail[b.plan.Groups[0].Name] = errors.New("the peer does not answer")
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed untouched untouched" || r.Unsettled() != 1 {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
	if b.at(0) != "198.51.100.1" || b.at(1) != "192.0.2.1" || b.tagged() != 0 {
		t.Errorf("tunnel 0 is at %s, tunnel 1 at %s, %d tagged", b.at(0), b.at(1), b.tagged())
	}
	if p := strings.Join(r.Groups[0].Problems, " "); !strings.Contains(p, "recover --forward") || !strings.Contains(p, "the peer does not answer") {
		t.Errorf("the report says %q", p)
	}
}

// TestFollowedGroupsAreUndoneByTheirDaemon has the second wave fail when the daemon has followed the first one.
func TestFollowedGroupsAreUndoneByTheirDaemon(t *testing.T) {
	b := newBench(t, 2, refuse(xfrm.MsgMigrateState, 2, unix.EEXIST), plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	d := owned(t, b, true, false)
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, unix.EEXIST) || b.outcomes(r) != "undone undone" || b.at(0) != "192.0.2.1" || b.at(1) != "192.0.2.1" || b.tagged() != 0 {
		t.Errorf("%v, %s: tunnels at %s and %s", err, b.outcomes(r), b.at(0), b.at(1))
	}
	if want := "establish c0 at 192.0.2.1"; !slices.Contains(d.told, want) {
		t.Errorf("the daemon was told %q, not %q", d.told, want)
	}
	steps := b.steps(b.plan.Groups[0].Name)
	if last := steps[len(steps)-1]; last != ike.Intended {
		t.Errorf("noted %v: a recover would bring back what is back", steps)
	}
}

// TestLostSAIsSetUpByItsDaemon loses either SA, and has the daemon set it up while the policies are blocked.
func TestLostSAIsSetUpByItsDaemon(t *testing.T) {
	for nth := range 2 {
		b := newBench(t, 2, lose(nth))
		d := owned(t, b, false, true)
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if err != nil || b.outcomes(r) != "done done" || b.tagged() != 0 || d.open != 0 {
			t.Errorf("%v, %s, %d tagged, %d set up without a block", err, b.outcomes(r), b.tagged(), d.open)
		}
		if b.at(0) != "198.51.100.1" || b.at(1) != "198.51.100.1" || len(b.k.Snapshot().SAs) != 4 {
			t.Errorf("tunnels at %s and %s, %d SAs", b.at(0), b.at(1), len(b.k.Snapshot().SAs))
		}
		if len(d.told) != 2 {
			t.Errorf("the daemon was told %q", d.told)
		}
	}
}

// TestLostSAWithoutItsDaemonStaysBlocked covers the daemon that fails, and the plan that doesn't let it.
func TestLostSAWithoutItsDaemonStaysBlocked(t *testing.T) {
	for _, onLoss := range []bool{true, false} {
		b := newBench(t, 2, lose(0))
		d := owned(t, b, false, onLoss)
		d.fail[b.plan.Groups[0].Name] = errors.New("the peer does not answer")
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if err == nil || b.outcomes(r) != "blocked untouched" || b.blocks() != 2 {
			t.Errorf("onLoss %v: %v, %s, %d blocks", onLoss, err, b.outcomes(r), b.blocks())
		}
		if onLoss != strings.Contains(strings.Join(r.Groups[0].Problems, " "), "recover --forward") || (len(d.told) != 0) != onLoss {
			t.Errorf("onLoss %v: the report says %q, the daemon was told %q", onLoss, r.Groups[0].Problems, d.told)
		}
	}
}

// TestConflictIsNoLoss: EEXIST with the SA still in its place is undone, and the daemon has nothing to do with it.
func TestConflictIsNoLoss(t *testing.T) {
	b := newBench(t, 1, refuse(xfrm.MsgMigrateState, 0, unix.EEXIST))
	d := owned(t, b, true, true)
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, unix.EEXIST) || b.outcomes(r) != "undone" || len(d.told) != 0 {
		t.Errorf("%v, %s, the daemon was told %q", err, b.outcomes(r), d.told)
	}
}

// TestPeerThatWasFaster has the daemon set the Child SA up at the new addresses, because its peer has, between the plan and the run.
func TestPeerThatWasFaster(t *testing.T) {
	b := newBench(t, 1, nil)
	d := owned(t, b, true, false)
	d.install(d.children[0], netip.MustParseAddr("198.51.100.1"))
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done" || b.at(0) != "198.51.100.1" || len(b.k.Snapshot().SAs) != 2 {
		t.Errorf("%v, %s: tunnel at %s, %d SAs", err, b.outcomes(r), b.at(0), len(b.k.Snapshot().SAs))
	}
	if len(d.told) != 1 || !strings.HasPrefix(d.told[0], "retire") {
		t.Errorf("the daemon was told %q", d.told)
	}
}

// lose makes the kernel lose the SA of the nth migration.
func lose(nth int) xfrmtest.Fault {
	seen := 0
	return func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point != xfrmtest.BeforeSend {
			return xfrmtest.Effect{}
		}
		for i, m := range at.Messages {
			if m.Type == xfrm.MsgMigrateState {
				if seen++; seen == nth+1 {
					return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{i: {Truth: xfrmtest.BothGone, Errno: unix.EEXIST}}}
				}
			}
		}
		return xfrmtest.Effect{}
	}
}

// TestInterruptedWhileTheDaemonFollows: those that the daemon was at come to their end, no other is begun, and all are undone.
func TestInterruptedWhileTheDaemonFollows(t *testing.T) {
	const n = 40
	b := newBench(t, n, nil)
	d := owned(t, b, true, false)
	ctx, cancel := context.WithCancel(t.Context())
	d.began = cancel
	r, err := executor.Run(ctx, b.plan, b.cfg)
	if !errors.Is(err, executor.ErrInterrupted) || r.Count(executor.Undone) != n || b.tagged() != 0 {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
	begun := 0
	for _, told := range d.told {
		if strings.HasPrefix(told, "establish") && strings.HasSuffix(told, "198.51.100.1") {
			begun++
		}
	}
	if begun == n {
		t.Error("all were begun all the same")
	}
}
