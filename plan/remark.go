package plan

import (
	"fmt"
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// remark warns of what people should know about a group.
func (c *computation) remark(g *Group) {
	if len(g.Calls) == 0 {
		c.warn(SlugPolicyAlone, g.Name, "no SA uses these policies; they are rewritten so that nothing negotiates at the old addresses")
	}
	for i := range g.Calls {
		if g.Calls[i].Dir == xfrm.SADirUnset {
			c.warn(SlugUnknownDirection, g.Name, fmt.Sprintf("SA %v: nothing tells its direction", g.Calls[i].SA.ID))
		}
	}
	for i := range g.Policies {
		pc := &g.Policies[i]
		p := pc.Old
		if (pc.New != nil || inPlace(p)) && expires(&p.Limits) {
			c.warn(SlugPolicyLifetime, g.Name, fmt.Sprintf("policy %v %v: its lifetime starts anew", p.Dir, p.Sel))
		}
		if inPlace(p) {
			c.warn(SlugBlockInPlace, g.Name, fmt.Sprintf("policy %v %v has priority 0, which nothing can outrank: "+
				"it is replaced by its block while the SAs move, and does not come back by itself if the machine stops there", p.Dir, p.Sel))
		}
	}
}

// expires reports whether there is a limit at all.
func expires(l *xfrm.LifetimeLimits) bool {
	return l.HardAdd != 0 || l.HardUse != 0 || l.SoftAdd != 0 || l.SoftUse != 0 ||
		limited(l.HardBytes) || limited(l.HardPackets) || limited(l.SoftBytes) || limited(l.SoftPackets)
}

func limited(n uint64) bool { return n != 0 && n != xfrm.Unlimited }

// policyEnds are the outer addresses that a policy's first template asks for, or the invalid Addr if it has none.
func policyEnds(p *xfrm.Policy) (local, remote netip.Addr) {
	if len(p.Templates) == 0 {
		return local, remote
	}
	sa, _ := wanted(p, &p.Templates[0], nil)
	local, remote = sa.SrcIP(), sa.DstIP()
	if p.Dir != xfrm.DirOut {
		local, remote = remote, local
	}
	return local, remote
}
