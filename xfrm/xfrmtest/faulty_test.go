package xfrmtest_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// once makes a Fault that has its effect at the first point of a kind whose datagram has a migration, or an answer.
func once(p xfrmtest.Point, e xfrmtest.Effect) xfrmtest.Fault {
	done := false
	return func(at xfrmtest.At) xfrmtest.Effect {
		if done || at.Point != p || p != xfrmtest.AfterReceive && !at.Has(xfrm.MsgMigrateState) {
			return xfrmtest.Effect{}
		}
		done = true
		return e
	}
}

func TestLies(t *testing.T) {
	for _, c := range []struct {
		name     string
		truth    xfrmtest.Truth
		old, new bool
	}{
		{"old kept", xfrmtest.NotDone, true, false},
		{"only new there", xfrmtest.Done, false, true},
		{"both gone", xfrmtest.BothGone, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, _, child := tunnel(t)
			lie := xfrmtest.Lie{Truth: c.truth, Errno: unix.EEXIST, Reason: "Failed to add migrated state"}
			conn := xfrm.NewConn(xfrmtest.Faulty(k.Socket(), once(xfrmtest.BeforeSend, xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{1: lie}})))
			errs := conn.Do(move(child.Out, hub, siteNew), move(child.In, siteNew, hub))
			var e *xfrm.Error
			if errs[0] != nil || !errors.As(errs[1], &e) || e.Errno != lie.Errno || e.Reason != lie.Reason {
				t.Fatalf("answers %v", errs)
			}
			var old, moved bool
			for _, sa := range k.Snapshot().SAs {
				if sa.ID.SPI == child.In.ID.SPI {
					old, moved = sa.Src == child.In.Src, sa.Src != child.In.Src
				}
			}
			if old != c.old || moved != c.new {
				t.Errorf("old there %v, new there %v", old, moved)
			}
		})
	}
}

func TestLostAnswers(t *testing.T) {
	for keep, want := range []error{xfrm.ErrOutcomeUnknown, nil} { // of the last request, the one that is acknowledged
		k, _, child := tunnel(t)
		conn := xfrm.NewConn(xfrmtest.Faulty(k.Socket(), once(xfrmtest.AfterSend, xfrmtest.Effect{Lose: true, Keep: keep})))
		errs := conn.Do(move(child.Out, hub, siteNew), move(child.In, siteNew, hub))
		if !errors.Is(errs[0], xfrm.ErrOutcomeUnknown) || !errors.Is(errs[1], want) {
			t.Errorf("%d kept: answers %v, want %v and %v", keep, errs, xfrm.ErrOutcomeUnknown, want)
		}
	}
}

func TestSendThatFailsIsNotDelivered(t *testing.T) {
	k, _, child := tunnel(t)
	conn := xfrm.NewConn(xfrmtest.Faulty(k.Socket(), once(xfrmtest.BeforeSend, xfrmtest.Effect{Err: unix.ENOBUFS})))
	if err := conn.Do(move(child.Out, hub, siteNew))[0]; !errors.Is(err, xfrm.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	if dst := k.Snapshot().SAs[0].DstIP(); dst != site {
		t.Errorf("the SA moved to %v", dst)
	}
}

func TestSomebodyElseActsMeanwhile(t *testing.T) {
	k, _, child := tunnel(t)
	conn := xfrm.NewConn(xfrmtest.Faulty(k.Socket(), once(xfrmtest.BeforeSend, xfrmtest.Effect{Run: func() {
		if err := k.Rekey(child.Out.ID, child.Out.Mark, 0x77, true); err != nil {
			t.Error(err)
		}
	}})))
	if err := conn.Do(move(child.Out, hub, siteNew))[0]; !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v", err)
	}
}

func TestKilled(t *testing.T) {
	for _, point := range []xfrmtest.Point{xfrmtest.BeforeSend, xfrmtest.AfterSend, xfrmtest.AfterReceive} {
		for _, e := range []xfrmtest.Effect{{Panic: true}, {Kill: true}} {
			k, _, child := tunnel(t)
			var p xfrmtest.Process
			conn := xfrm.NewConn(p.Socket(k.Socket(), once(point, e)))
			alive := xfrmtest.Survives(func() { conn.Do(move(child.Out, hub, siteNew)) })
			if alive != e.Kill || p.Alive() {
				t.Errorf("%v: alive %v, process %v", point, alive, p.Alive())
			}
			moved := k.Snapshot().SAs[0].DstIP() == siteNew
			if want := point != xfrmtest.BeforeSend; moved != want {
				t.Errorf("%v: moved %v", point, moved)
			}
			if err := conn.Do(move(child.In, siteNew, hub))[0]; !errors.Is(err, xfrmtest.Killed) {
				t.Errorf("%v: after its death: %v", point, err)
			}
		}
	}
}

func TestReceiveBufferOverflows(t *testing.T) {
	k := xfrmtest.New(xfrmtest.WithReceiveBuffer(20 << 10))
	c := k.Dial()
	reqs := make([]xfrm.Request, 100)
	for i := range reqs {
		reqs[i] = xfrmtest.DeleteSA(xfrm.SAID{SPI: xfrm.SPI(i), Proto: xfrm.ProtoESP, Family: xfrm.FamilyIPv4}, xfrm.Mark{})
	}
	reqs[len(reqs)-1] = xfrmtest.FlushPolicies()
	known := 0
	for _, err := range c.Do(reqs...) {
		switch {
		case errors.Is(err, unix.ESRCH):
			known++
		case !errors.Is(err, xfrm.ErrOutcomeUnknown):
			t.Fatal(err)
		}
	}
	if known == 0 || known >= len(reqs)-1 {
		t.Errorf("%d of %d refusals came", known, len(reqs)-1)
	}
	if err := c.Do(xfrmtest.FlushPolicies())[0]; err != nil {
		t.Errorf("after the queue was read out: %v", err)
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		k    *xfrmtest.Kernel
		want error
	}{
		{"supported", xfrmtest.New(), nil},
		{"unknown", xfrmtest.New(xfrmtest.WithMigration(xfrmtest.MigrationUnknown)), xfrm.ErrNotSupported},
		{"not configured", xfrmtest.New(xfrmtest.WithMigration(xfrmtest.MigrationUnconfigured)), xfrm.ErrNotSupported},
		{"not permitted", xfrmtest.New(xfrmtest.WithoutPrivilege()), xfrm.ErrNotPermitted},
	} {
		if err := c.k.Dial().MigrateSupported(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSocketPoliciesAreDumpedAndOutliveAFlush(t *testing.T) {
	k, c, child := tunnel(t)
	bypass := child.Policies[1]
	bypass.Templates = nil
	if err := k.AddSocketPolicy(bypass); err != nil {
		t.Fatal(err)
	}
	if err := k.FlushPolicies(); err != nil {
		t.Fatal(err)
	}
	s := k.Socket()
	// struct nlmsghdr of GETPOLICY with NLM_F_REQUEST | NLM_F_DUMP, in little endian
	if err := s.Send([]byte{16, 0, 0, 0, xfrm.MsgGetPolicy, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := s.Receive(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = xfrm.EachMessage(b[:n], func(m xfrm.Message) error {
		if p, err := xfrm.DecodePolicy(m.Payload); err != nil || !p.IsSocket() {
			t.Errorf("policy %+v, %v", p, err)
		}
		return nil
	})
	if left, err := c.Policies(); err != nil || len(left) != 0 {
		t.Errorf("policies %v, %v", left, err)
	}
}

func TestDumpsHaveKeysThatNoTwoSAsShare(t *testing.T) {
	k, _, child := tunnel(t)
	if bytes.Equal(child.InAlg.AEAD.Key, child.OutAlg.AEAD.Key) {
		t.Error("one key for two SAs")
	}
	s := k.Socket()
	if err := s.Send([]byte{16, 0, 0, 0, xfrm.MsgGetSA, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, _ := s.Receive(b)
	if !bytes.Contains(b[:n], child.InAlg.AEAD.Key) || !bytes.Contains(b[:n], child.OutAlg.AEAD.Key) {
		t.Error("the dump lacks a key")
	}
}
