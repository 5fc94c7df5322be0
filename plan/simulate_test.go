package plan_test

import (
	"fmt"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// kernel is the little of a kernel that a plan is about. It knows nothing of how plans are computed.
type kernel struct {
	sas      []xfrm.SA     // in no order that counts
	policies []xfrm.Policy // the youngest first
}

func kernelOf(inv *plan.Inventory) *kernel {
	k := &kernel{sas: slices.Clone(inv.SAs), policies: slices.Clone(inv.Policies)}
	return k
}

func (k *kernel) inventory(like *plan.Inventory) *plan.Inventory {
	return &plan.Inventory{SAs: slices.Clone(k.sas), Policies: slices.Clone(k.policies), Addresses: like.Addresses, Links: like.Links}
}

// finds reports whether looking for an SA by id and mark finds s.
func finds(id xfrm.SAID, mark xfrm.Mark, s *xfrm.SA) bool {
	return s.ID == id && mark.Value&mark.Mask&s.Mark.Mask == s.Mark.Value
}

func (k *kernel) lookup(id xfrm.SAID, mark xfrm.Mark) (found []int) {
	for i := range k.sas {
		if finds(id, mark, &k.sas[i]) {
			found = append(found, i)
		}
	}
	return found
}

// migrate does a MIGRATE_STATE. More than one SA to choose from is an error: which one the kernel takes is luck.
func (k *kernel) migrate(m *xfrm.Migration) error {
	at := k.lookup(m.ID, m.OldMark)
	if len(at) != 1 {
		return fmt.Errorf("%d SAs for %v", len(at), m.ID)
	}
	if to := m.Target(); to != m.ID {
		if taken := k.lookup(to, m.TargetMark()); len(taken) != 0 {
			return fmt.Errorf("%v is taken", to)
		}
	}
	sa := &k.sas[at[0]]
	if sa.Mark != m.OldMark {
		return fmt.Errorf("%v has mark %v, not %v", m.ID, sa.Mark, m.OldMark)
	}
	moved := *sa
	moved.ID, moved.Src, moved.Sel, moved.Reqid, moved.Mark = m.Target(), m.NewSrc, m.NewSel, m.NewReqid, m.TargetMark()
	if err := setAttributes(&moved, m); err != nil {
		return err
	}
	*sa = moved
	return nil
}

// setAttributes does what the attributes of m say and refuses what the kernel refuses. What m leaves out is inherited.
func setAttributes(sa *xfrm.SA, m *xfrm.Migration) error {
	if m.Encap != nil {
		sa.Encap = *m.Encap
	}
	encapsulated := sa.Encap.Type != xfrm.EncapNone
	switch {
	case encapsulated && sa.ID.Proto != xfrm.ProtoESP:
		return fmt.Errorf("%v is not compatible with encapsulation", sa.ID)
	case m.NATKeepalive != nil && *m.NATKeepalive != 0 && !encapsulated, m.MTimer != nil && !encapsulated:
		return fmt.Errorf("%v: an attribute that requires encapsulation", sa.ID)
	case m.NATKeepalive != nil && *m.NATKeepalive != 0 && sa.Dir != xfrm.SADirOut, m.MTimer != nil && sa.Dir == xfrm.SADirOut:
		return fmt.Errorf("%v: an attribute of the other direction", sa.ID)
	}
	if m.NATKeepalive != nil {
		sa.NATKeepalive = *m.NATKeepalive
	}
	if m.MTimer != nil {
		sa.MTimer = *m.MTimer
	}
	if !encapsulated {
		sa.NATKeepalive, sa.MTimer = 0, 0
	}
	if m.OutputMark != nil {
		sa.OutputMark = *m.OutputMark
	}
	if m.Flags&xfrm.ClearOffload != 0 {
		sa.Offload = xfrm.Offload{}
	}
	if m.Offload != nil {
		sa.Offload = *m.Offload
	}
	return nil
}

// apply runs the plan, wave by wave and group by group.
func (k *kernel) apply(p *plan.Plan) error {
	done := make([]bool, len(p.Groups))
	for _, w := range p.Waves {
		for _, gi := range w.Groups {
			g := &p.Groups[gi]
			for _, before := range g.After {
				if !done[before] {
					return fmt.Errorf("group %q runs before %q", g.Name, p.Groups[before].Name)
				}
			}
			if err := k.group(g); err != nil {
				return fmt.Errorf("group %q: %w", g.Name, err)
			}
			done[gi] = true
		}
	}
	if i := slices.Index(done, false); i >= 0 {
		return fmt.Errorf("group %q is in no wave", p.Groups[i].Name)
	}
	return nil
}

func (k *kernel) group(g *plan.Group) error {
	for i := range g.Calls {
		if c := &g.Calls[i]; c.Hop != nil {
			aside := c.Migration
			aside.NewDst, aside.NewSrc, aside.NewFamily = c.Hop.Dst, c.Hop.Dst, c.Hop.Family
			if err := k.migrate(&aside); err != nil {
				return err
			}
		}
	}
	for _, hopped := range []bool{false, true} {
		for i := range g.Calls {
			c := &g.Calls[i]
			m := c.Migration
			if hopped != (c.Hop != nil) {
				continue
			}
			if hopped {
				m.ID = *c.Hop
			}
			if err := k.migrate(&m); err != nil {
				return err
			}
		}
	}
	for i := range g.Policies {
		pc := &g.Policies[i]
		next := pc.New
		if next == nil && pc.Old.Dir == xfrm.DirOut && pc.Old.Priority == 0 {
			next = pc.Old // blocked in place and put back
		}
		if next == nil {
			continue
		}
		if err := k.rewrite(pc.Old, next); err != nil {
			return err
		}
	}
	return nil
}

// rewrite takes one policy out and puts another in, as the youngest.
func (k *kernel) rewrite(old, next *xfrm.Policy) error {
	i := slices.IndexFunc(k.policies, func(p xfrm.Policy) bool { return p.Key() == old.Key() })
	if i < 0 {
		return fmt.Errorf("no policy %v %v", old.Dir, old.Sel)
	}
	k.policies = slices.Delete(k.policies, i, i+1)
	for j := range k.policies {
		if k.policies[j].Key() == next.Key() {
			return fmt.Errorf("there is a policy %v %v already", next.Dir, next.Sel)
		}
	}
	k.policies = slices.Insert(k.policies, 0, *next)
	return nil
}

// undo runs the inverse of every call, the last one first, and puts the old policies back, in their order.
func (k *kernel) undo(p *plan.Plan) error {
	for gi := len(p.Groups) - 1; gi >= 0; gi-- {
		g := plan.Group{Name: p.Groups[gi].Name}
		for i := len(p.Groups[gi].Calls) - 1; i >= 0; i-- {
			c := p.Groups[gi].Calls[i]
			c.Migration = c.Inverse()
			g.Calls = append(g.Calls, c)
		}
		for _, pc := range p.Groups[gi].Policies {
			if pc.New != nil {
				pc.Old, pc.New = pc.New, pc.Old
			}
			g.Policies = append(g.Policies, pc)
		}
		if err := k.group(&g); err != nil {
			return err
		}
	}
	return nil
}

// state is what SAD and SPD mean, as lines to compare.
func (k *kernel) state() (lines []string) {
	for i := range k.sas {
		lines = append(lines, fmt.Sprintf("%+v", k.sas[i]))
	}
	for i := range k.policies {
		lines = append(lines, fmt.Sprintf("%+v", k.policies[i]))
	}
	slices.Sort(lines)
	return lines
}

// ties lists, oldest first, which of two policies of equal priority a packet that matches both gets.
func (k *kernel) ties() (lines []string) {
	for i := range k.policies {
		for j := range i {
			older, younger := &k.policies[i], &k.policies[j]
			if compete(older, younger) {
				lines = append(lines, fmt.Sprintf("%d before %d", older.Index, younger.Index))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// compete reports whether a packet can match both policies, so that the kernel chooses by age.
func compete(p, q *xfrm.Policy) bool {
	a, b := &p.Sel, &q.Sel
	return p.Dir == q.Dir && p.Priority == q.Priority && p.IfID == q.IfID && p.Type == q.Type &&
		a.Family == b.Family && a.SrcPrefix().Overlaps(b.SrcPrefix()) && a.DstPrefix().Overlaps(b.DstPrefix())
}
