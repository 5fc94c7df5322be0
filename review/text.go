package review

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Text writes the review for a terminal.
func (r *Review) Text(w io.Writer) error {
	b := bufio.NewWriter(w)
	t := &text{b}
	t.f("Plan %s in %s\n", r.Plan, where(r.NetNS))
	t.waves(r)
	t.remarks(r)
	t.closing(r)
	return b.Flush()
}

func where(netns string) string {
	if netns == "" {
		return "the current network namespace"
	}
	return "network namespace " + netns
}

type text struct{ b *bufio.Writer }

func (t *text) f(format string, a ...any) { fmt.Fprintf(t.b, format, a...) }

func (t *text) waves(r *Review) {
	if !r.Changes {
		return
	}
	t.f("\nSymbols: ~ an SA is moved, keys and counters kept   * a policy is rewritten   = a policy is blocked for a moment, then as before\n")
	byName := make(map[string]*Group, len(r.Groups))
	for i := range r.Groups {
		byName[r.Groups[i].Name] = &r.Groups[i]
	}
	for i, w := range r.Waves {
		if len(r.Waves) > 1 {
			t.f("\nWave %d, %s: %s", i+1, w.Name, count(len(w.Groups), "group", "groups"))
			if w.Pause != "" {
				t.f(", after a pause of %s", w.Pause)
			}
			t.f("\n")
		}
		for _, name := range w.Groups {
			t.group(byName[name])
		}
	}
}

func (t *text) group(g *Group) {
	t.f("\n%s\n", g.Name)
	for i := range g.Calls {
		t.call(&g.Calls[i])
	}
	for _, p := range g.Policies {
		sign := "="
		if p.Rewritten {
			sign = "*"
		}
		t.f("  %s %-5s %s", sign, p.Direction, p.Selector)
		if p.NewSel != "" {
			t.f(" => %s", p.NewSel)
		}
		t.apart(p.Mark, p.IfID)
		t.f("  priority %d\n", p.Priority)
	}
	for _, before := range g.After {
		t.f("    after %s\n", before)
	}
}

func (t *text) call(c *Call) {
	dir := c.Direction
	if dir == "unset" {
		dir = "?"
	}
	t.f("  ~ %-5s %s %s  %v -> %v", dir, c.Proto, c.SPI, c.Old.Src, c.Old.Dst)
	t.apart(c.Old.Mark, c.Old.IfID)
	t.f("\n")
	t.f("%*s%s -> %s", 27, "=> ", marked(c.New.Src, c.Old.Src), marked(c.New.Dst, c.Old.Dst))
	for _, a := range []struct {
		name     string
		old, new any
	}{
		{"reqid", c.Old.Reqid, c.New.Reqid},
		{"encap", c.Old.Encap, c.New.Encap},
		{"mark", none(c.Old.Mark), none(c.New.Mark)},
		{"output-mark", none(c.Old.OutputMark), none(c.New.OutputMark)},
		{"NAT keepalive", c.Old.NATKeepalive, c.New.NATKeepalive},
		{"mapping age", c.Old.MTimer, c.New.MTimer},
		{"selector", c.Old.Selector, c.New.Selector},
		{"offload", none(c.Old.Offload), none(c.New.Offload)},
	} {
		if a.old != a.new {
			t.f("  %s %v => %v", a.name, a.old, a.new)
		}
	}
	if c.Hop != "" {
		t.f("  by way of %s", c.Hop)
	}
	t.f("\n")
}

// apart shows what tells SAs of one SPI, or policies of one selector, apart.
func (t *text) apart(mark string, ifID uint32) {
	if mark != "" {
		t.f("  mark %s", mark)
	}
	if ifID != 0 {
		t.f("  if_id %#x", ifID)
	}
}

func none(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// marked shows an address that stays in parentheses, so that the eye finds what changes.
func marked(next, old netip.Addr) string {
	if next == old {
		return "(" + old.String() + ")"
	}
	return next.String()
}

func (t *text) remarks(r *Review) {
	for _, w := range r.Warnings {
		t.f("\nWarning (%s): %s%s\n", w.Slug, of(w.Group), w.Text)
	}
	for _, x := range r.Refusals {
		t.f("\nRefused (%s): %s%s.\n  Way out: %s.\n", x.Slug, of(x.Group), x.Reason, x.Hint)
	}
}

func of(group string) string {
	if group == "" {
		return ""
	}
	return group + ": "
}

func (t *text) closing(r *Review) {
	switch {
	case len(r.Refusals) != 0:
		t.f("\nThis plan can't be applied: %s above.\n", count(len(r.Refusals), "refusal", "refusals"))
	case !r.Changes && r.Unchanged == 0:
		t.f("\nNo changes: no SA or policy here has an address that the plan renumbers.\n")
	case !r.Changes:
		t.f("\nNo changes: %s as the plan wants.\n", count(r.Unchanged, "matching SA is", "matching SAs are"))
	}
	if !r.Changes {
		return
	}
	c := r.Counts
	t.f("\n%s: %s, %s rewritten (XFRM_MSG_MIGRATE would have taken %s).\n",
		count(c.Groups, "group", "groups"), count(c.Calls, "MIGRATE_STATE call", "MIGRATE_STATE calls"),
		count(c.PolicyRewrites, "policy", "policies"), count(c.LegacyCalls, "call", "calls"))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
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
