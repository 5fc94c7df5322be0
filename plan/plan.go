package plan

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Plan is what has to be done in one network namespace. Nothing in it is secret.
type Plan struct {
	Name   string // metadata.name
	Digest string // of the plan file
	Groups []Group
	Waves  []Wave

	// Refusals keep the plan from being applied; each is one thing that the operator has to decide.
	Refusals []Refusal
	Warnings []Warning

	Matched int // SAs with an address in a `from` that the selection takes, changed or not
}

// Group is the unit of a transaction: SAs and policies that share templates, as a rule one Child SA.
type Group struct {
	Name     string
	Local    netip.Addr // outer addresses before, of the first SA
	Remote   netip.Addr
	Calls    []Call
	Policies []PolicyChange
	After    []int // groups that come before in the plan and must be through: they move away from where this one goes
}

// Call is one MIGRATE_STATE.
type Call struct {
	SA        *xfrm.SA   // of the inventory, as all plans of it share it: read only
	Dir       xfrm.SADir // SADirUnset if nothing tells
	Migration xfrm.Migration
	Hop       *xfrm.SAID // where the SA steps aside to first, so that others can take its place; nil as a rule
}

// PolicyChange is a policy of a group. All outbound ones are blocked while the SAs move; only those with New set are
// rewritten.
type PolicyChange struct {
	Old *xfrm.Policy // of the inventory: read only
	New *xfrm.Policy
}

// Wave is a set of groups, by index, that run together.
type Wave struct {
	Name   string
	Groups []int
	Pause  time.Duration // before the wave starts
}

// Slug is a stable name for machines of a kind of refusal or warning.
type Slug string

// Refusal says why the plan can't be applied as it stands.
type Refusal struct {
	Slug   Slug
	Group  string // empty if it isn't about one
	Reason string
	Hint   string // what to do instead
}

// Warning is worth knowing and keeps nothing from running.
type Warning struct {
	Slug  Slug
	Group string
	Text  string
}

// Counts sums up a plan.
type Counts struct {
	Groups       int
	Calls        int // MIGRATE_STATE, hops included
	Rewrites     int // policies
	LegacyCalls  int // XFRM_MSG_MIGRATE calls that the old interface would have needed: one for each policy
	Unchanged    int // SAs that match and stay as they are
	LocalMoves   int // SAs whose local address changes
	FamilyChange int // SAs whose outer family changes
}

// Counts sums up the plan.
func (p *Plan) Counts() (c Counts) {
	c.Groups = len(p.Groups)
	c.Unchanged = p.Matched
	for i := range p.Groups {
		g := &p.Groups[i]
		c.Unchanged -= len(g.Calls)
		c.Calls += len(g.Calls)
		for _, call := range g.Calls {
			if call.Hop != nil {
				c.Calls++
			}
			if call.Migration.NewFamily != call.Migration.ID.Family {
				c.FamilyChange++
			}
			if call.Local() != call.NewLocal() {
				c.LocalMoves++
			}
		}
		for _, pc := range g.Policies {
			if pc.New != nil {
				c.Rewrites++
			}
			if len(pc.Old.Templates) != 0 {
				c.LegacyCalls++
			}
		}
	}
	return c
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Groups) == 0 }

// NewSrc is the outer source after the call.
func (c *Call) NewSrc() netip.Addr { return c.Migration.NewSrc.IP(c.Migration.NewFamily) }

// NewDst is the outer destination after the call.
func (c *Call) NewDst() netip.Addr { return c.Migration.NewDst.IP(c.Migration.NewFamily) }

// Local is this host's outer address before the call. For an SA of unknown direction it is the source.
func (c *Call) Local() netip.Addr {
	if c.Dir == xfrm.SADirIn {
		return c.SA.DstIP()
	}
	return c.SA.SrcIP()
}

// NewLocal is this host's outer address after the call.
func (c *Call) NewLocal() netip.Addr {
	if c.Dir == xfrm.SADirIn {
		return c.NewDst()
	}
	return c.NewSrc()
}

// Remote is the peer's outer address before the call.
func (c *Call) Remote() netip.Addr {
	if c.Dir == xfrm.SADirIn {
		return c.SA.SrcIP()
	}
	return c.SA.DstIP()
}

// NewRemote is the peer's outer address after the call.
func (c *Call) NewRemote() netip.Addr {
	if c.Dir == xfrm.SADirIn {
		return c.NewSrc()
	}
	return c.NewDst()
}

// Inverse is the migration that takes the SA back: every attribute explicit, so that it does not matter what was
// inherited on the way there. Undo is this and never a re-installation, which would repeat sequence numbers.
func (c *Call) Inverse() xfrm.Migration {
	sa, m := c.SA, &c.Migration
	inv := xfrm.Migration{
		ID: m.Target(), NewDst: sa.ID.Dst, NewSrc: sa.Src,
		OldMark: m.TargetMark(), NewSel: sa.Sel, NewReqid: sa.Reqid, NewFamily: sa.ID.Family,
	}
	if m.Mark != nil {
		inv.Mark = &sa.Mark
	}
	if m.Encap != nil {
		inv.Encap = &sa.Encap
		// Removing the encapsulation clears what depends on it.
		if sa.Encap.Type != xfrm.EncapNone {
			inv.NATKeepalive = nonZero(sa.NATKeepalive)
			inv.MTimer = nonZero(sa.MTimer)
		}
	}
	if m.OutputMark != nil {
		inv.OutputMark = &sa.OutputMark
	}
	if m.NATKeepalive != nil && sa.Encap.Type != xfrm.EncapNone {
		inv.NATKeepalive = &sa.NATKeepalive
	}
	if m.MTimer != nil && sa.Encap.Type != xfrm.EncapNone {
		inv.MTimer = &sa.MTimer
	}
	switch {
	case m.Offload == nil && m.Flags&xfrm.ClearOffload == 0:
	case sa.Offload.IfIndex == 0:
		inv.Flags |= xfrm.ClearOffload
	default:
		inv.Offload = &sa.Offload
	}
	return inv
}

func nonZero(v uint32) *uint32 {
	if v == 0 {
		return nil
	}
	return &v
}

// String formats as "slug: reason".
func (r Refusal) String() string { return fmt.Sprintf("%s: %s", r.Slug, r.Reason) }
