package review

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Text writes the plan for a terminal. where names the network namespace that it is for.
func Text(w io.Writer, p *plan.Plan, where string) error {
	b := bufio.NewWriter(w)
	t := &text{b}
	t.f("Plan %s in %s\n", p.Name, where)
	t.waves(p)
	t.remarks(p)
	t.closing(p)
	return b.Flush()
}

type text struct{ b *bufio.Writer }

func (t *text) f(format string, a ...any) { fmt.Fprintf(t.b, format, a...) }

func (t *text) waves(p *plan.Plan) {
	if p.Empty() {
		return
	}
	t.f("\nSymbols: ~ an SA is moved, keys and counters kept   * a policy is rewritten   = a policy is blocked for a moment, then as before\n")
	for i, w := range p.Waves {
		if len(p.Waves) > 1 {
			t.f("\nWave %d, %s: %d %s", i+1, w.Name, len(w.Groups), plural(len(w.Groups), "group", "groups"))
			if w.Pause > 0 {
				t.f(", then a pause of %v", w.Pause)
			}
			t.f("\n")
		}
		for _, gi := range w.Groups {
			t.group(p, &p.Groups[gi])
		}
	}
}

func (t *text) group(p *plan.Plan, g *plan.Group) {
	t.f("\n%s\n", g.Name)
	for i := range g.Calls {
		t.call(&g.Calls[i])
	}
	for i := range g.Policies {
		t.policy(&g.Policies[i])
	}
	for _, before := range g.After {
		t.f("    after %s\n", p.Groups[before].Name)
	}
}

func (t *text) call(c *plan.Call) {
	sa, m := &c.SA, &c.Migration
	t.f("  ~ %-5s %s %v  %v -> %v\n", sadir(c.Dir), sa.ID.Proto, sa.ID.SPI, sa.SrcIP(), sa.DstIP())
	t.f("%*s%s -> %s", 27, "=> ", marked(c.NewSrc(), sa.SrcIP()), marked(c.NewDst(), sa.DstIP()))
	if m.NewReqid != sa.Reqid {
		t.f("  reqid %d => %d", sa.Reqid, m.NewReqid)
	}
	if m.Encap != nil {
		t.f("  encap %s => %s", encap(sa.Encap), encap(*m.Encap))
	}
	if m.Mark != nil {
		t.f("  mark %v => %v", sa.Mark, *m.Mark)
	}
	if m.OutputMark != nil {
		t.f("  output-mark %v => %v", sa.OutputMark, *m.OutputMark)
	}
	if m.NATKeepalive != nil {
		t.f("  NAT keepalive %ds => %ds", sa.NATKeepalive, *m.NATKeepalive)
	}
	if m.MTimer != nil {
		t.f("  mapping age %ds => %ds", sa.MTimer, *m.MTimer)
	}
	switch {
	case m.Flags&xfrm.UpdateH2HSelector != 0:
		t.f("  selector => host to host")
	case m.NewSel != sa.Sel:
		t.f("  selector %v => %v", sa.Sel, m.NewSel)
	}
	switch {
	case m.Flags&xfrm.ClearOffload != 0:
		t.f("  offload => none")
	case m.Offload != nil:
		t.f("  offload => interface %d", m.Offload.IfIndex)
	}
	t.f("\n")
}

// marked shows an address that stays in parentheses, so that the eye finds what changes.
func marked(next, old netip.Addr) string {
	if next == old {
		return "(" + old.String() + ")"
	}
	return next.String()
}

func (t *text) policy(pc *plan.PolicyChange) {
	sign := "="
	if pc.New != nil {
		sign = "*"
	}
	t.f("  %s %-5s %v  priority %d\n", sign, pc.Old.Dir, pc.Old.Sel, pc.Old.Priority)
}

func (t *text) remarks(p *plan.Plan) {
	for _, w := range p.Warnings {
		t.f("\nWarning (%s): %s%s\n", w.Slug, of(w.Group), w.Text)
	}
	for _, r := range p.Refusals {
		t.f("\nRefused (%s): %s%s.\n  Way out: %s.\n", r.Slug, of(r.Group), r.Reason, r.Hint)
	}
}

func of(group string) string {
	if group == "" {
		return ""
	}
	return group + ": "
}

func (t *text) closing(p *plan.Plan) {
	c := p.Counts()
	switch {
	case len(p.Refusals) != 0:
		t.f("\nThis plan can't be applied: %d %s above.\n", len(p.Refusals), plural(len(p.Refusals), "refusal", "refusals"))
	case p.Empty() && p.Matched == 0:
		t.f("\nNo changes: no SA or policy here has an address that the plan renumbers.\n")
	case p.Empty():
		t.f("\nNo changes: %d matching SAs are as the plan wants them.\n", p.Matched)
	}
	if p.Empty() {
		return
	}
	t.f("\n%d %s: %d MIGRATE_STATE %s, %d %s rewritten (XFRM_MSG_MIGRATE would have taken %d calls).\n",
		c.Groups, plural(c.Groups, "group", "groups"), c.Calls, plural(c.Calls, "call", "calls"),
		c.Rewrites, plural(c.Rewrites, "policy", "policies"), c.LegacyCalls)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func sadir(d xfrm.SADir) string {
	if d == xfrm.SADirUnset {
		return "?"
	}
	return d.String()
}

func encap(e xfrm.Encap) string {
	if e.Type == xfrm.EncapNone {
		return "none"
	}
	return fmt.Sprintf("espinudp %d-%d", e.SPort, e.DPort)
}

// Duration rounds for people: three digits say enough about an interruption.
func Duration(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
