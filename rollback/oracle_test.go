package rollback_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// oracle judges by the kernel's tables and the path of packets alone: it shares nothing with the engine but the names of
// outcomes.
type oracle struct {
	w       *world
	watched bool
	n       int
	now     *instants
	sent    map[xfrm.SPI]uint64
	wrong   []string

	// What others did, which is not held against the run.
	lost    map[xfrm.SPI]bool
	mayLose int // SAs that the kernel loses, whichever they are
	flushed bool

	deceived bool // the kernel said that it had done what it had not: instants don't count, the end does
	theirs   map[xfrm.Key]xfrm.Policy
}

func newOracle(w *world) *oracle {
	o := &oracle{w: w, now: newInstants(w), sent: map[xfrm.SPI]uint64{}, lost: map[xfrm.SPI]bool{}, theirs: map[xfrm.Key]xfrm.Policy{}}
	o.look()
	return o
}

func (o *oracle) begin() { o.watched = true }

func (o *oracle) fail(format string, a ...any) {
	if len(o.wrong) < 20 {
		o.wrong = append(o.wrong, fmt.Sprintf(format, a...))
	}
}

// after is called when the kernel has acted on a message.
func (o *oracle) after(typ uint16) {
	switch typ {
	case xfrm.MsgNewPolicy, xfrm.MsgUpdPolicy, xfrm.MsgDelPolicy, xfrm.MsgMigrateState:
		if o.n++; o.watched {
			o.glance()
			if len(o.w.tunnels) <= 10 { // with more, a look takes a while
				o.look()
			}
		}
	}
}

// glance checks what look does, of that alone which has changed since the last time.
func (o *oracle) glance() {
	c := o.w.k.Changes()
	o.now.follow(c.Policies)
	for _, e := range o.now.clearNow() {
		if !o.flushed && !o.deceived {
			o.fail("message %d: tunnel %d: %v %v is not protected", o.n, e.tunnel, e.dir, e.sel)
		}
	}
	for i := range c.Came {
		o.counter(&c.Came[i])
	}
}

// look checks what has to hold at every instant: nothing leaves or is let in unprotected, and no counter falls back. It
// holds what is known from changes against the tables.
func (o *oracle) look() {
	o.glance()
	s := o.w.k.Snapshot()
	for i := range o.now.paths {
		p := &o.now.paths[i]
		if is := clear(s, p.dir, p.packet); is != p.clear() {
			o.fail("message %d: %v %v in the clear: %v by the tables, not by their changes", o.n, p.dir, p.packet, is)
		}
	}
	if !o.flushed && !o.deceived {
		for i := range o.w.tunnels {
			for j := range o.w.tunnels[i].Policies {
				p := &o.w.tunnels[i].Policies[j]
				if passes(s, p.Dir, p.Sel) && (!o.w.shapes[i].reselected || passes(s, p.Dir, reselect(p.Sel))) {
					o.fail("message %d: tunnel %d: %v %v is not protected", o.n, i, p.Dir, p.Sel)
				}
			}
		}
	}
	for _, sa := range s.SAs {
		if !sa.Larval {
			o.counter(&sa.SA)
		}
	}
}

// counter checks that an SA's sequence number has not gone back.
func (o *oracle) counter(sa *xfrm.SA) {
	if sa.Replay.Sent < o.sent[sa.ID.SPI] {
		o.fail("message %d: SA %v: sequence number %d after %d", o.n, sa.ID, sa.Replay.Sent, o.sent[sa.ID.SPI])
	}
	o.sent[sa.ID.SPI] = sa.Replay.Sent
}

// passes reports whether a packet that matches the selector passes without IPsec.
func passes(s *xfrmtest.Snapshot, dir xfrm.Dir, sel xfrm.Selector) bool {
	return clear(s, dir, xfrmtest.Example(&sel))
}

// clear reports whether the packet passes without IPsec.
func clear(s *xfrmtest.Snapshot, dir xfrm.Dir, p xfrmtest.Packet) bool {
	if dir == xfrm.DirOut {
		return s.Outbound(p).Fate == xfrmtest.Clear
	}
	return s.Inbound(xfrmtest.Arrival{Inner: p, Forward: dir == xfrm.DirFwd}).Fate == xfrmtest.Accepted
}

// standing is where a tunnel is, by what the kernel holds.
type standing struct {
	old, new bool // all of it, as far as others left it
	why      string
}

func (o *oracle) standing(s *xfrmtest.Snapshot, i int) (st standing) {
	st = standing{old: true, new: true}
	note := func(isOld, isNew bool, format string, a ...any) {
		st.old, st.new = st.old && isOld, st.new && isNew
		if !isOld || !isNew {
			st.why += fmt.Sprintf(format, a...) + "; "
		}
	}
	c := &o.w.tunnels[i]
	for _, want := range []*xfrm.SA{&c.In, &c.Out} {
		if o.lost[want.ID.SPI] {
			continue
		}
		var at []*xfrmtest.SA
		for _, sa := range s.SAs {
			if sa.ID.SPI == want.ID.SPI && !sa.Larval {
				at = append(at, sa)
			}
		}
		if len(at) != 1 {
			o.fail("tunnel %d: SA %v is there %d times", i, want.ID.SPI, len(at))
			note(false, false, "SA %v", want.ID.SPI)
			continue
		}
		moved := moveSA(*want)
		note(at[0].ID == want.ID && at[0].Src == want.Src, at[0].ID == moved.ID && at[0].Src == moved.Src, "SA %v from %v", at[0].ID, at[0].SrcIP())
	}
	for j := range c.Policies {
		want := &c.Policies[j]
		next := *want
		next.Templates = slices.Clone(want.Templates)
		for k := range next.Templates {
			next.Templates[k].Src = moveAddress(next.Templates[k].Src)
			next.Templates[k].Dst = moveAddress(next.Templates[k].Dst)
		}
		if o.w.shapes[i].reselected {
			next.Sel = reselect(next.Sel)
		}
		if o.theirs[want.Key()].Sel == want.Sel && o.theirs[want.Key()].Flags != 0 {
			continue
		}
		hasOld, hasNew := has(s, want), has(s, &next)
		note(hasOld && (!o.w.shapes[i].reselected || find(s, next.Key()) == nil),
			hasNew && (!o.w.shapes[i].reselected || find(s, want.Key()) == nil), "policy %v %v: old %v, new %v", want.Dir, want.Sel, hasOld, hasNew)
	}
	return st
}

func moveAddress(a xfrm.Address) xfrm.Address {
	if a == xfrm.AddressFrom(oldLocal) {
		return xfrm.AddressFrom(newLocal)
	}
	return a
}

func moveSA(sa xfrm.SA) xfrm.SA {
	sa.Src, sa.ID.Dst = moveAddress(sa.Src), moveAddress(sa.ID.Dst)
	return sa
}

func find(s *xfrmtest.Snapshot, k xfrm.Key) *xfrm.Policy {
	for _, p := range s.Policies {
		if p.Key() == k {
			return p
		}
	}
	return nil
}

func has(s *xfrmtest.Snapshot, want *xfrm.Policy) bool {
	got := find(s, want.Key())
	return got != nil && got.Priority == want.Priority && got.Action == want.Action && got.Flags == want.Flags &&
		got.Limits == want.Limits && slices.Equal(got.Templates, want.Templates)
}

// settled checks what has to hold when a run, or its recovery, is over. outcomes are by tunnel.
func (o *oracle) settled(outcomes []executor.Outcome) {
	o.look()
	s := o.w.k.Snapshot()
	o.findLost(s)
	for i, outcome := range outcomes {
		st := o.standing(s, i)
		broken := o.lost[o.w.tunnels[i].In.ID.SPI] || o.lost[o.w.tunnels[i].Out.ID.SPI]
		switch outcome {
		case executor.Done:
			if !st.new && !(o.flushed) {
				o.fail("tunnel %d is said to be done: %s", i, st.why)
			}
		case executor.Undone:
			if !st.old {
				o.fail("tunnel %d is said to be undone: %s", i, st.why)
			}
		case executor.Untouched:
			if !st.old && !o.flushed {
				o.fail("tunnel %d is said to be untouched: %s", i, st.why)
			}
		case executor.Stuck:
			if !broken && !o.flushed {
				o.fail("tunnel %d is blocked and nothing is lost: %s", i, st.why)
			}
			for j := range o.w.tunnels[i].Policies {
				p := &o.w.tunnels[i].Policies[j]
				if p.Dir == xfrm.DirOut && s.Outbound(xfrmtest.Example(&p.Sel)).Fate != xfrmtest.Blocked &&
					(!o.w.shapes[i].reselected || passes(s, p.Dir, p.Sel)) {
					o.fail("tunnel %d is said to be blocked: %v is not", i, p.Sel)
				}
			}
			continue
		default:
			o.fail("tunnel %d is %q at the end", i, outcome)
		}
		o.flows(s, i, outcome == executor.Done, broken)
	}
	for _, p := range s.Policies {
		if i := o.tunnelOf(p); (p.Sel.User != 0 || p.Action == xfrm.Block) && (i < 0 || outcomes[i] != executor.Stuck) {
			o.fail("a temporary policy is left: %v %v index %#x", p.Dir, p.Sel, p.Index)
		}
	}
}

// findLost sees which SA the kernel lost, where a fault makes it lose one.
func (o *oracle) findLost(s *xfrmtest.Snapshot) {
	for i := range o.w.tunnels {
		for _, spi := range []xfrm.SPI{o.w.tunnels[i].In.ID.SPI, o.w.tunnels[i].Out.ID.SPI} {
			there := slices.ContainsFunc(s.SAs, func(sa *xfrmtest.SA) bool { return sa.ID.SPI == spi && !sa.Larval })
			if !there && !o.lost[spi] && o.mayLose > 0 {
				o.mayLose--
				o.lost[spi] = true
			}
		}
	}
}

// flows checks that traffic of a tunnel that is whole goes through, and through its own SAs.
func (o *oracle) flows(s *xfrmtest.Snapshot, i int, moved, broken bool) {
	if broken || o.flushed {
		return
	}
	for j := range o.w.tunnels[i].Policies {
		p := &o.w.tunnels[i].Policies[j]
		if _, rewritten := o.theirs[p.Key()]; rewritten {
			continue
		}
		sel := p.Sel
		if moved && o.w.shapes[i].reselected {
			sel = reselect(sel)
		}
		pkt := xfrmtest.Example(&sel)
		if p.Dir == xfrm.DirOut {
			if v := s.Outbound(pkt); v.Fate != xfrmtest.Protected || v.SAs[0].ID.SPI != o.w.tunnels[i].Out.ID.SPI {
				o.fail("tunnel %d: %v is %v", i, sel, v)
			}
			continue
		}
		in := o.w.tunnels[i].In
		if moved {
			in = moveSA(in)
		}
		if v := s.Inbound(xfrmtest.Arrival{Inner: pkt, Outer: &in.ID, Forward: p.Dir == xfrm.DirFwd}); v.Fate != xfrmtest.Accepted {
			o.fail("tunnel %d: %v %v is %v", i, p.Dir, sel, v)
		}
	}
}

// tunnelOf tells whose traffic a policy is over.
func (o *oracle) tunnelOf(p *xfrm.Policy) int {
	sel := p.Sel
	sel.User = 0
	for i := range o.w.tunnels {
		for j := range o.w.tunnels[i].Policies {
			if q := &o.w.tunnels[i].Policies[j]; q.Dir == p.Dir && (q.Sel == sel || reselect(q.Sel) == sel) {
				return i
			}
		}
	}
	return -1
}

// keys looks for every key in all that was written or said.
func (o *oracle) keys() {
	all := []byte(strings.Join(o.w.texts, "\n"))
	_ = filepath.WalkDir(o.w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			all = append(all, b...)
		}
		return nil
	})
	for i := range o.w.tunnels {
		for _, k := range [][]byte{o.w.tunnels[i].InAlg.AEAD.Key, o.w.tunnels[i].OutAlg.AEAD.Key} {
			if bytes.Contains(all, k[:8]) || bytes.Contains(all, []byte(hex.EncodeToString(k[:8]))) {
				o.fail("a key of tunnel %d was written", i)
			}
		}
	}
}

// picture is the kernel in a form that can be compared.
func (o *oracle) picture() string {
	s := o.w.k.Snapshot()
	var lines []string
	for _, sa := range s.SAs {
		lines = append(lines, fmt.Sprintf("%v %v %d %+v larval %v", sa.ID, sa.SrcIP(), sa.Reqid, sa.Replay, sa.Larval))
	}
	for _, p := range s.Policies {
		lines = append(lines, fmt.Sprintf("%v %v %d %d %v %v %#x", p.Dir, p.Sel, p.Sel.User, p.Priority, p.Action, p.Templates, p.Index))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
