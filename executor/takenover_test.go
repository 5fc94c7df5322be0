package executor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var errNoPeer = errors.New("the peer does not answer")

// TestEachChildSAIsTakenOverByItself: of a group's two Child SAs the peer uses one successor and still the other's old SA. Neither old one goes.
func TestEachChildSAIsTakenOverByItself(t *testing.T) {
	b := newBench(t, 2, nil)
	d := owned(t, b, true, false)
	oneGroup(b)
	b.cfg.IKE.Config.Timeout = time.Second
	old := d.children[1]
	d.idle = map[string]bool{"c1": true}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				id := said(newLocal, old.In)
				b.k.Receive(xfrmtest.Arrival{Outer: &id, Inner: xfrmtest.Packet{}})
			}
		}
	}()
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	close(stop)
	<-done
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" || len(b.k.Snapshot().SAs) != 8 {
		t.Errorf("%v, %s, %d SAs", err, b.outcomes(r), len(b.k.Snapshot().SAs))
	}
	if slices.ContainsFunc(d.told, func(s string) bool { return strings.HasPrefix(s, "retire") }) {
		t.Errorf("the daemon was told %q", d.told)
	}
}

// TestPeerThatWasFasterWithoutTheKernel: what the daemon says it has set up is not in the kernel, and nothing of the old one goes for it.
func TestPeerThatWasFasterWithoutTheKernel(t *testing.T) {
	b := newBench(t, 1, nil)
	d := owned(t, b, true, false)
	c := d.install(d.children[0], newLocal)
	for _, id := range []xfrm.SAID{said(c.Local, c.In), said(c.Remote, c.Out)} {
		if err := b.k.DeleteSA(id, xfrm.Mark{}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "untouched" || len(d.told) != 0 || len(b.k.Snapshot().SAs) != 2 {
		t.Errorf("%v, %s, %d SAs, the daemon was told %q", err, b.outcomes(r), len(b.k.Snapshot().SAs), d.told)
	}
}

// TestOneSuccessorIsNoTwo: the peer has moved one of a group's two Child SAs, for the same traffic. It stands for the other one, too, to whoever doesn't count.
func TestOneSuccessorIsNoTwo(t *testing.T) {
	b := newBench(t, 2, nil)
	d := owned(t, b, true, false)
	oneGroup(b)
	for i := range d.children {
		d.children[i].LocalTS = []string{"0.0.0.0/0"}
		b.cfg.IKE.Moves[0][i].Old[0].LocalTS = []string{"0.0.0.0/0"}
	}
	d.install(d.children[1], newLocal)
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err == nil || b.outcomes(r) != "untouched" || len(d.told) != 0 || len(b.k.Snapshot().SAs) != 6 {
		t.Errorf("%v, %s, %d SAs, the daemon was told %q", err, b.outcomes(r), len(b.k.Snapshot().SAs), d.told)
	}
}

// rekeyAtOldAddresses has the daemon re-key a Child SA where it believes it to be.
func (d *daemon) rekeyAtOldAddresses() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.children[0]
	d.told = append(d.told, "re-key")
	d.install(old, oldLocal)
	d.children[len(d.children)-1].Connection = old.Connection
	d.drop([]ike.ChildSA{old})
}

// TestRekeyBetweenMoveAndFollow has the daemon re-key when its group has moved and it wasn't told yet: that one goes, too.
func TestRekeyBetweenMoveAndFollow(t *testing.T) {
	b := newBench(t, 1, nil)
	d := owned(t, b, true, false)
	watched(t, b, func() {})
	emit := b.cfg.Emit
	b.cfg.Emit = func(e executor.Event) {
		emit(e)
		if e.Kind == executor.GroupDone && len(d.told) == 0 {
			d.rekeyAtOldAddresses()
		}
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if err != nil || b.outcomes(r) != "done" || b.at(0) != "198.51.100.1" || len(b.k.Snapshot().SAs) != 2 {
		t.Errorf("%v, %s: at %s, %d SAs", err, b.outcomes(r), b.at(0), len(b.k.Snapshot().SAs))
	}
	if len(d.children) != 1 || d.children[0].Local != newLocal {
		t.Errorf("the daemon has %v, and was told %q", d.children, d.told)
	}
}

// TestRekeyBeforeRecover has the daemon re-key when its group has moved and the run was killed: recover moves that, too, and the daemon, which looks for it
// at the old addresses, leaves it behind.
func TestRekeyBeforeRecover(t *testing.T) {
	b, d := killed(t, false, false, "before establishing")
	d.rekeyAtOldAddresses()
	finishKilled(t, b, d, executor.Done)
}

// TestStragglerOfADaemonIsNotDone has the daemon set up another Child SA at the old addresses when it has followed.
func TestStragglerOfADaemonIsNotDone(t *testing.T) {
	b := newBench(t, 2, nil)
	d := owned(t, b, true, false)
	late := b.plan.Groups[1].Name
	b.plan.Groups, b.cfg.IKE.Moves, b.plan.Waves[0].Groups = b.plan.Groups[:1], b.cfg.IKE.Moves[:1], []int{0}
	watched(t, b, func() {})
	c := b.k.Dial()
	defer c.Close()
	tunnel := &b.tunnels[1]
	for _, sa := range []*xfrm.SA{&tunnel.In, &tunnel.Out} {
		if err := b.k.DeleteSA(sa.ID, xfrm.Mark{}); err != nil {
			t.Fatal(err)
		}
	}
	emit := b.cfg.Emit
	b.cfg.Emit = func(e executor.Event) {
		emit(e)
		if e.Kind == executor.GroupFollowed {
			if err := errors.Join(c.Do(tunnel.Requests()[:2]...)...); err != nil {
				t.Error(err)
			}
		}
	}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "done not-followed" || !strings.HasPrefix(r.Groups[1].Name, late) {
		t.Errorf("%v, %+v, the daemon has %v", err, r.Groups, d.children)
	}
}

// TestPeerThatWasFasterAndADaemonThatIsStubborn: the run says that the old Child SA is left.
func TestPeerThatWasFasterAndADaemonThatIsStubborn(t *testing.T) {
	b := newBench(t, 1, nil)
	d := owned(t, b, true, false)
	d.install(d.children[0], newLocal)
	b.cfg.IKE.Driver = stubborn{d}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" {
		t.Errorf("%v, %s", err, b.outcomes(r))
	}
}
