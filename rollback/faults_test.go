package rollback_test

import (
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// point is a place where a fault can come: in an exchange with the kernel, or in a write or sync of the journal.
type point struct {
	journal bool
	n       int
	at      xfrmtest.Point
	types   []uint16 // of the messages of a datagram; of a journal's write nil
	dump    bool     // a table is asked for
	sync    bool
}

// fault is what happens at a point. The zero fault never happens.
type fault struct {
	name string
	at   point
	do   func(w *world, p *process) xfrmtest.Effect // in an exchange
	file func(w *world, p *process, f rollback.File, b []byte) (int, error)
}

// at is where faults in exchanges come from. What was there before the run began is not counted.
func (p *process) at(w *world, at *xfrmtest.At) xfrmtest.Effect {
	if !p.started {
		return xfrmtest.Effect{}
	}
	here := point{at: at.Point}
	for _, m := range at.Messages {
		here.types = append(here.types, m.Type)
		here.dump = m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && (m.Type == xfrm.MsgGetSA || m.Type == xfrm.MsgGetPolicy)
	}
	if !p.come(here) || p.fault.do == nil {
		return xfrmtest.Effect{}
	}
	return p.fault.do(w, p)
}

// come counts a point and reports whether it is the fault's. Exchanges and the journal come side by side where groups do.
func (p *process) come(here point) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	here.n = len(p.points)
	if here.journal {
		here.n = p.journal
		p.journal++
	}
	p.points = append(p.points, here)
	if p.fault.name == "" || p.fault.at.journal != here.journal || p.fault.at.n != here.n {
		return false
	}
	p.occurred = true
	return true
}

// file breaks the journal's file. A dead process writes nothing.
func (p *process) file(f rollback.File) rollback.File { return &brokenFile{File: f, p: p} }

type brokenFile struct {
	rollback.File
	p *process
}

func (f *brokenFile) Write(b []byte) (int, error) { return f.op(b, false) }

func (f *brokenFile) Sync() error {
	_, err := f.op(nil, true)
	return err
}

func (f *brokenFile) op(b []byte, sync bool) (int, error) {
	if !f.p.alive() {
		return 0, xfrmtest.Killed
	}
	if f.p.come(point{journal: true, sync: sync}) {
		return f.p.fault.file(nil, f.p, f.File, b)
	}
	if sync {
		return 0, f.File.Sync()
	}
	return f.File.Write(b)
}

// journalFaults lists what can happen at an operation on the journal.
func journalFaults(at point) (all []fault) {
	add := func(name string, file func(p *process, f rollback.File, b []byte) (int, error)) {
		all = append(all, fault{name: name, at: at, file: func(_ *world, p *process, f rollback.File, b []byte) (int, error) { return file(p, f, b) }})
	}
	add("kill -9 before", func(p *process, _ rollback.File, _ []byte) (int, error) {
		p.sockets.Kill()
		return 0, xfrmtest.Killed
	})
	add("SIGTERM", func(p *process, f rollback.File, b []byte) (int, error) {
		p.cancel()
		if at.sync {
			return 0, f.Sync()
		}
		return f.Write(b)
	})
	if at.sync {
		add("EIO", func(*process, rollback.File, []byte) (int, error) { return 0, unix.EIO })
		return all
	}
	add("ENOSPC", func(*process, rollback.File, []byte) (int, error) { return 0, unix.ENOSPC })
	add("EIO", func(*process, rollback.File, []byte) (int, error) { return 0, unix.EIO })
	for i, name := range []string{"short write, 1 byte", "short write, half"} { // in order, so that a seed stands for one fault
		part := i + 1
		add(name, func(_ *process, f rollback.File, b []byte) (int, error) {
			n, err := f.Write(b[:max(1, len(b)/2*(part-1))])
			if err == nil {
				err = io.ErrShortWrite
			}
			return n, err
		})
	}
	add("kill -9 within", func(p *process, f rollback.File, b []byte) (int, error) {
		n, _ := f.Write(b[:len(b)/2])
		p.sockets.Kill()
		return n, xfrmtest.Killed
	})
	add("kill -9 after", func(p *process, f rollback.File, b []byte) (int, error) {
		n, _ := f.Write(b)
		p.sockets.Kill()
		return n, xfrmtest.Killed
	})
	return all
}

// processFaults lists what can happen to the program at a point of an exchange.
func processFaults(at point) (all []fault) {
	add := func(name string, do func(w *world, p *process) xfrmtest.Effect) {
		all = append(all, fault{name: name, at: at, do: do})
	}
	add("kill -9", func(*world, *process) xfrmtest.Effect { return xfrmtest.Effect{Kill: true} })
	if at.at == xfrmtest.AfterReceive {
		return all
	}
	add("SIGTERM", func(_ *world, p *process) xfrmtest.Effect {
		return xfrmtest.Effect{Run: p.cancel}
	})
	add("second runner", func(w *world, _ *process) xfrmtest.Effect {
		return xfrmtest.Effect{Run: func() {
			if l, err := w.state.Lock(w.k.Cookie()); err == nil {
				l.Close()
				w.watch.fail("a second run got the lock")
			}
		}}
	})
	add("reboot", func(w *world, _ *process) xfrmtest.Effect {
		return xfrmtest.Effect{Kill: true, Run: func() { w.boot = "boot-2" }}
	})
	add("namespace deleted", func(w *world, _ *process) xfrmtest.Effect {
		return xfrmtest.Effect{Kill: true, Run: func() { w.netns = "wan, made anew" }}
	})
	if at.at == xfrmtest.BeforeSend {
		add("ENOBUFS", func(*world, *process) xfrmtest.Effect { return xfrmtest.Effect{Err: unix.ENOBUFS} })
		return all
	}
	for keep := range 3 {
		add(fmt.Sprintf("lost ACK, %d kept", keep), func(*world, *process) xfrmtest.Effect { return xfrmtest.Effect{Lose: true, Keep: keep} })
	}
	return all
}

// kernelFaults lists how the kernel can refuse each message of a datagram, and what the truth is.
func kernelFaults(at point) (all []fault) {
	if at.at != xfrmtest.BeforeSend {
		return nil
	}
	lie := func(name string, i int, l xfrmtest.Lie, also func(w *world)) {
		all = append(all, fault{name: name, at: at, do: func(w *world, _ *process) xfrmtest.Effect {
			return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{i: l}, Run: func() {
				if also != nil {
					also(w)
				}
			}}
		}})
	}
	for i, typ := range at.types {
		switch typ {
		case xfrm.MsgMigrateState, xfrm.MsgNewPolicy, xfrm.MsgUpdPolicy, xfrm.MsgDelPolicy:
			// Nothing can protect an instant from that; the end has to be right all the same.
			lie("acknowledged, not done", i, xfrmtest.Lie{Truth: xfrmtest.NotDone}, func(w *world) { w.watch.deceived = true })
		}
		switch typ {
		case xfrm.MsgMigrateState:
			lie("EEXIST, old kept", i, xfrmtest.Lie{Truth: xfrmtest.NotDone, Errno: unix.EEXIST, Reason: "New SA tuple already occupied"}, nil)
			lie("EEXIST, only new", i, xfrmtest.Lie{Truth: xfrmtest.Done, Errno: unix.EEXIST, Reason: "Failed to add migrated state"}, nil)
			lie("EEXIST, both gone", i, xfrmtest.Lie{Truth: xfrmtest.BothGone, Errno: unix.EEXIST, Reason: "Failed to add migrated state"}, losesSA)
			lie("ESRCH", i, xfrmtest.Lie{Truth: xfrmtest.NotDone, Errno: unix.ESRCH, Reason: "Can not find state"}, nil)
		case xfrm.MsgNewPolicy, xfrm.MsgUpdPolicy, xfrm.MsgDelPolicy:
			lie("ENOMEM", i, xfrmtest.Lie{Truth: xfrmtest.NotDone, Errno: unix.ENOMEM}, nil)
			lie("policy refused but done", i, xfrmtest.Lie{Truth: xfrmtest.Done, Errno: unix.ENOMEM}, nil)
		}
	}
	return all
}

// passing lets a policy of somebody else come and go.
func (w *world) passing() {
	c := w.k.Dial()
	defer c.Close()
	p := w.tunnels[0].Policies[0]
	p.Index, p.Sel.Dst[1], p.Sel.Src[1] = 0, 202, 203
	for _, err := range append(c.Do(xfrm.NewPolicy(&p)), c.Do(xfrmtest.DeletePolicyBySelector(&p))...) {
		if err != nil {
			w.watch.fail("a policy that comes and goes: %v", err)
		}
	}
}

// redone looks whether a dump that was interrupted was done once more, at once.
func (p *process) redone(w *world) {
	if p.fault.name != "interrupted dump" || !p.occurred || !p.alive() {
		return
	}
	for _, at := range p.points[p.fault.at.n+1:] {
		if !at.journal && at.at == xfrmtest.BeforeSend {
			if !slices.Equal(at.types, p.fault.at.types) {
				w.watch.fail("an interrupted dump was not redone: %v after %v", at.types, p.fault.at.types)
			}
			return
		}
	}
	w.watch.fail("an interrupted dump was the last thing asked")
}

// losesSA lets the oracle find out which SA a fault takes away.
func losesSA(w *world) { w.watch.mayLose++ }

// otherFaults lists what other processes can do at a point.
func otherFaults(w *world, at point) (all []fault) {
	if at.at == xfrmtest.AfterReceive {
		return nil
	}
	add := func(name string, run func(w *world)) {
		all = append(all, fault{name: name, at: at, do: func(w *world, _ *process) xfrmtest.Effect {
			return xfrmtest.Effect{Run: func() { run(w) }}
		}})
	}
	for _, by := range []time.Duration{-365 * 24 * time.Hour, 365 * 24 * time.Hour} {
		add("clock jump", func(w *world) { w.clock = w.clock.Add(by) })
	}
	if at.at == xfrmtest.AfterSend && at.dump {
		// Whatever comes into the table and goes again while a dump is read makes the kernel say so.
		add("interrupted dump", func(w *world) { w.passing() })
	}
	add("SPD flushed", func(w *world) {
		w.watch.flushed = true
		_ = w.k.FlushPolicies()
	})
	add("foreign policy comes", func(w *world) {
		sel := w.tunnels[0].Policies[0].Sel
		sel.Dst[1], sel.Src[1] = 200, 201
		_ = w.k.RewritePolicy(xfrm.Policy{Sel: sel, Dir: xfrm.DirOut, Limits: xfrm.NoLimits, Priority: 7, Templates: w.tunnels[0].Policies[0].Templates})
	})
	for i := range w.tunnels {
		if i > 2 {
			break // the others are the same to the one in flight
		}
		add(fmt.Sprintf("policy of tunnel %d rewritten", i), func(w *world) {
			p := w.tunnels[i].Policies[0]
			p.Flags = 1 // XFRM_POLICY_LOCALOK
			w.watch.theirs[p.Key()] = p
			_ = w.k.RewritePolicy(p)
		})
		add(fmt.Sprintf("SA of tunnel %d deleted", i), func(w *world) {
			spi := w.tunnels[i].Out.ID.SPI
			w.watch.lost[spi] = true
			for _, sa := range w.k.Snapshot().SAs {
				if sa.ID.SPI == spi {
					_ = w.k.DeleteSA(sa.ID, sa.Mark)
				}
			}
		})
	}
	return all
}

// faultsAt lists all that can happen at a point.
func faultsAt(w *world, at point) []fault {
	if at.journal {
		return journalFaults(at)
	}
	all := processFaults(at)
	all = append(all, kernelFaults(at)...)
	return append(all, otherFaults(w, at)...)
}
