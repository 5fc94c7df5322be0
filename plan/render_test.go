package plan_test

import (
	"fmt"
	"io"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// render writes everything that a plan says, for goldens. What people are shown is package review's.
func render(w io.Writer, p *plan.Plan) {
	c := p.Counts()
	fmt.Fprintf(w, "\nmatched %d, groups %d, calls %d, rewrites %d, legacy calls %d\n", p.Matched, c.Groups, c.Calls, c.Rewrites, c.LegacyCalls)
	for i := range p.Groups {
		g := &p.Groups[i]
		fmt.Fprintf(w, "\ngroup %q, %v to %v\n", g.Name, g.Local, g.Remote)
		for _, before := range g.After {
			fmt.Fprintf(w, "  after %q\n", p.Groups[before].Name)
		}
		for j := range g.Calls {
			renderCall(w, &g.Calls[j])
		}
		for j := range g.Policies {
			renderPolicy(w, &g.Policies[j])
		}
	}
	for _, r := range p.Warnings {
		fmt.Fprintf(w, "\nwarning %s %q\n  %s\n", r.Slug, r.Group, r.Text)
	}
	for _, r := range p.Refusals {
		fmt.Fprintf(w, "\nREFUSED %s %q\n  %s\n  way out: %s\n", r.Slug, r.Group, r.Reason, r.Hint)
	}
}

func renderCall(w io.Writer, c *plan.Call) {
	sa, m := c.SA, &c.Migration
	fmt.Fprintf(w, "  %-5v %v %v %v  %v > %v  =>  %v > %v\n", c.Dir, sa.ID.Proto, sa.ID.SPI, sa.Mode, sa.SrcIP(), sa.DstIP(), c.NewSrc(), c.NewDst())
	if m.OldMark != (xfrm.Mark{}) {
		fmt.Fprintf(w, "        mark %v\n", m.OldMark)
	}
	if m.NewReqid != sa.Reqid {
		fmt.Fprintf(w, "        reqid %d => %d\n", sa.Reqid, m.NewReqid)
	}
	if m.NewSel != sa.Sel || m.Flags != 0 {
		fmt.Fprintf(w, "        selector %v => %v, flags %#x\n", sa.Sel, m.NewSel, m.Flags)
	}
	if m.Encap != nil {
		fmt.Fprintf(w, "        encap %v => %v\n", sa.Encap.Type, m.Encap.Type)
	}
	if c.Hop != nil {
		fmt.Fprintf(w, "        by way of %v\n", *c.Hop)
	}
}

func renderPolicy(w io.Writer, pc *plan.PolicyChange) {
	fmt.Fprintf(w, "  policy %v %v priority %d index %d", pc.Old.Dir, pc.Old.Sel, pc.Old.Priority, pc.Old.Index)
	switch {
	case pc.New == nil:
		fmt.Fprintf(w, ": stays\n")
		return
	case pc.New.Same(pc.Old):
		fmt.Fprintf(w, ": rewritten as it is\n")
		return
	case pc.New.Sel != pc.Old.Sel:
		fmt.Fprintf(w, " => %v", pc.New.Sel)
	}
	fmt.Fprintln(w)
	for i := range pc.New.Templates {
		old, next := &pc.Old.Templates[i], &pc.New.Templates[i]
		if *old == *next {
			fmt.Fprintf(w, "      %v\n", *old)
		} else {
			fmt.Fprintf(w, "    - %v\n    + %v\n", *old, *next)
		}
	}
}
