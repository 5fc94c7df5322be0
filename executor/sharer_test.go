package executor_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// sharer is a daemon that has one set of policies for all of its Child SAs, as pluto has: what goes first takes it along.
type sharer struct{ *daemon }

// sharing is what is different about a sharer.
type sharing struct {
	first   netip.Addr            // where the daemon's connection old is
	reqids  map[netip.Addr]uint32 // each connection has its own, and the daemon doesn't tell it
	policy  []xfrm.Policy         // of the Child SA that was set up last
	traffic []xfrmtest.Packet     // out, and in as dirs say
	dirs    []xfrm.Dir
	exposed []string // what was unprotected when the daemon had taken its policies away
	stopped int      // outbound packets that had no SA then
	renewed int
}

// share makes a sharer of a bench's daemon, which has one tunnel.
func share(b *bench, d *daemon) {
	s := &sharing{first: d.children[0].Local, reqids: map[netip.Addr]uint32{d.children[0].Local: b.tunnels[0].In.Reqid}}
	for i := range b.tunnels[0].Policies {
		p := &b.tunnels[0].Policies[i]
		s.traffic, s.dirs = append(s.traffic, xfrmtest.Example(&p.Sel)), append(s.dirs, p.Dir)
	}
	for i := range d.children {
		d.children[i].Reqid, d.children[i].Initiator = 0, true
	}
	for i := range b.cfg.IKE.Moves[0] {
		for j := range b.cfg.IKE.Moves[0][i].Old {
			b.cfg.IKE.Moves[0][i].Old[j].Reqid, b.cfg.IKE.Moves[0][i].Old[j].Initiator = 0, true
		}
	}
	d.sharing = s
	b.cfg.IKE.Driver = sharer{d}
}

// another makes a Child SA one of another connection.
func (s *sharing) another(n *xfrmtest.ChildSA, child *ike.ChildSA) {
	local := n.In.ID.DstIP()
	if s.reqids[local] == 0 {
		s.reqids[local] = 1000
	}
	n.In.Reqid, n.Out.Reqid, child.Reqid = s.reqids[local], s.reqids[local], 0
	for i := range n.Policies {
		n.Policies[i].Templates[0].Reqid = s.reqids[local]
	}
	s.policy = n.Policies
}

// takePolicies deletes all of the tunnel's policies that the daemon knows of, and looks at what is left.
func (s *sharing) takePolicies(d *daemon) {
	c := d.k.Dial()
	defer c.Close()
	for i := range s.policy {
		_ = c.Do(xfrmtest.DeletePolicyBySelector(&s.policy[i])) // there may be none
	}
	now := d.k.Snapshot()
	for i, p := range s.traffic {
		if s.dirs[i] != xfrm.DirOut {
			if now.Inbound(xfrmtest.Arrival{Inner: p, Forward: s.dirs[i] == xfrm.DirFwd}).Fate == xfrmtest.Accepted {
				s.exposed = append(s.exposed, s.dirs[i].String()+" "+p.Src.String())
			}
			continue
		}
		switch now.Outbound(p).Fate {
		case xfrmtest.Clear:
			s.exposed = append(s.exposed, "out "+p.Src.String())
		case xfrmtest.Protected:
		default:
			s.stopped++
		}
	}
}

// Renew sets the Child SA up with other SPIs, and its policies.
func (d sharer) Renew(_ context.Context, of ike.ChildSA) error {
	if d.killed("before renewing") {
		return xfrmtest.Killed
	}
	d.mu.Lock()
	at := slices.IndexFunc(d.children, func(c ike.ChildSA) bool { return c.Local == of.Local && c.Remote == of.Remote })
	if at < 0 {
		d.mu.Unlock()
		return errors.New("there is no such Child SA")
	}
	old := d.children[at]
	d.children = slices.Delete(d.children, at, at+1)
	d.told = append(d.told, "renew")
	d.sharing.renewed++
	d.install(old, old.Local)
	for _, id := range []xfrm.SAID{said(old.Local, old.In), said(old.Remote, old.Out)} {
		if err := d.k.DeleteSA(id, xfrm.Mark{}); err != nil {
			d.t.Error(err)
		}
	}
	d.mu.Unlock()
	if d.killed("after renewing") {
		return xfrmtest.Killed
	}
	return nil
}

// TestDaemonThatTakesItsPoliciesAlong: nothing is exposed meanwhile and traffic has its SAs, whether the group follows or has lost an SA.
func TestDaemonThatTakesItsPoliciesAlong(t *testing.T) {
	for _, lost := range []bool{false, true} {
		var fault xfrmtest.Fault
		name := "follows"
		if lost {
			fault, name = lose(0), "lost"
		}
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, fault)
			d := owned(t, b, !lost, lost)
			share(b, d)
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if err != nil || b.outcomes(r) != "done" || b.tagged() != 0 {
				t.Errorf("%v, %s, %d tagged", err, b.outcomes(r), b.tagged())
			}
			s := d.sharing
			if len(s.exposed) != 0 || s.stopped != 0 || s.renewed != 1 {
				t.Errorf("exposed %v, %d packets without SA, renewed %d times", s.exposed, s.stopped, s.renewed)
			}
			for _, p := range b.k.Snapshot().Policies {
				if len(p.Templates) != 1 || p.Templates[0].Reqid != 1000 {
					t.Errorf("policy %v %v is not the new Child SA's", p.Dir, p.Sel)
				}
			}
		})
	}
}

// unwilling is a daemon that doesn't put back the policies that it has taken away.
type unwilling struct{ sharer }

func (unwilling) Renew(context.Context, ike.ChildSA) error { return errNoPeer }

// TestCopiesThatStandInForPoliciesAreNoReasonToBlock: the daemon has taken its policies away for good, and traffic flows under their copies.
func TestCopiesThatStandInForPoliciesAreNoReasonToBlock(t *testing.T) {
	b := newBench(t, 1, nil)
	b.cfg.OnError = plan.OnErrorStop
	d := owned(t, b, true, false)
	share(b, d)
	b.cfg.IKE.Driver = unwilling{sharer{d}}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" || b.blocks() != 0 || b.tagged() != 6 || len(d.sharing.exposed) != 0 {
		t.Errorf("%v, %s: %d blocks, %d tagged, exposed %v", err, b.outcomes(r), b.blocks(), b.tagged(), d.sharing.exposed)
	}
	b.cfg.IKE.Driver = sharer{d}
	if r, err = settleAs(t, b, executor.Done); err != nil || r.Unsettled() != 0 || b.tagged() != 0 {
		t.Errorf("recover: %v, %s, %d tagged", err, b.outcomes(r), b.tagged())
	}
}
