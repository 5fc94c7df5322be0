package plan

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// class is what two policies must have in common before the kernel chooses between them by age.
type class struct {
	priority uint32
	ifID     uint32
	family   xfrm.Family
	dir      xfrm.Dir
	typ      xfrm.PolicyType
}

func classOf(p *xfrm.Policy) class { return class{p.Priority, p.IfID, p.Sel.Family, p.Dir, p.Type} }

// keepAge keeps the order of age among policies of equal priority that overlap. Of these the kernel takes the oldest,
// and each rewrite makes a policy the youngest: so those younger than a rewritten one are rewritten after it, as they
// are, in the same transaction.
//
// The dump is in order of age, the youngest first: that is the order of net->xfrm.policy_all, which an index, kept when
// a policy is replaced, doesn't tell.
func (c *computation) keepAge() {
	classes, touched := c.classes()
	for _, t := range c.ties(classes, touched) {
		if !c.touches(int(t.older)) {
			continue
		}
		c.aged = true
		c.links.sets.join(c.links.offset+t.older, c.links.offset+t.younger)
		c.refuseOpening(int(t.older), int(t.younger))
		if p := &c.inv.Policies[t.younger]; !c.touches(int(t.younger)) && !p.Tagged() {
			again := *p
			c.next[t.younger] = &again
			c.warn(SlugEqualPriority, "", fmt.Sprintf("policy %v %v has the priority of %v, which is older and rewritten: it is rewritten after it, as it is",
				p.Dir, p.Sel, c.inv.Policies[t.older].Sel))
		}
	}
}

// An aging is two policies of which a packet that matches both takes the older one.
type aging struct{ older, younger int32 }

// ties finds the agings of the touched classes, from the oldest on, so that what is touched for an older one touches the
// younger ones in turn.
func (c *computation) ties(classes [][]contender, touched []bool) []aging {
	found := make([][]aging, len(classes))
	var all sync.WaitGroup
	for k := range classes {
		if !touched[k] {
			continue
		}
		all.Go(func() {
			overlaps(classes[k], func(a, b int32) {
				p, q := &c.inv.Policies[a], &c.inv.Policies[b]
				if (p.Mark.Value^q.Mark.Value)&p.Mark.Mask&q.Mark.Mask == 0 { // else no packet has both marks
					found[k] = append(found[k], aging{max(a, b), min(a, b)})
				}
			})
		})
	}
	all.Wait()
	ties := slices.Concat(found...)
	slices.SortFunc(ties, func(a, b aging) int { return cmp.Or(cmp.Compare(b.older, a.older), cmp.Compare(b.younger, a.younger)) })
	return slices.Compact(ties)
}

// refuseOpening refuses to replace an inbound or forward policy of priority 0 in front of a younger one that lets packets
// pass as they come. Nothing can cover the one while it is replaced, as nothing outranks priority 0, and until the other
// is rewritten in its turn that one is the older of the two: what both match would be accepted in the clear.
func (c *computation) refuseOpening(older, younger int) {
	p, q := &c.inv.Policies[older], &c.inv.Policies[younger]
	if p.Dir == xfrm.DirOut || p.Priority != 0 || letsClearPass(p) || !letsClearPass(q) {
		return
	}
	c.refuse(SlugClearInward, c.firstMoving(older),
		fmt.Sprintf("policy %v %v of priority 0 can't be rewritten under cover, and %v (index %d), which is younger, of the same priority and accepts cleartext, "+
			"would take its packets for an instant", p.Dir, p.Sel, q.Sel, q.Index),
		"give the younger one a priority of 1 or more, with which it comes second as it does now, or delete it for the time of the change")
}

// letsClearPass reports whether a policy accepts packets that no IPsec has protected.
func letsClearPass(p *xfrm.Policy) bool {
	return p.Action != xfrm.Block && !slices.ContainsFunc(p.Templates, func(t xfrm.Template) bool { return t.Optional == 0 })
}

// firstMoving returns the first SA of the policy that moves, or nil.
func (c *computation) firstMoving(pi int) (first *xfrm.SA) {
	for _, i := range c.links.ofPolicy(pi) {
		if v := c.moved[i]; v != nil && (first == nil || compareSAs(v.sa, first) < 0) {
			first = v.sa
		}
	}
	return first
}

// touches reports whether applying the plan makes the policy the youngest: it is rewritten, or blocked in place.
func (c *computation) touches(pi int) bool {
	return c.next[pi] != nil || inPlace(&c.inv.Policies[pi]) && c.usesMoving(pi)
}

// inPlace reports whether the policy has to be replaced by its block, because nothing outranks it.
func inPlace(p *xfrm.Policy) bool { return p.Dir == xfrm.DirOut && p.Priority == 0 }

// usesMoving reports whether a template of the policy asks for an SA that moves.
func (c *computation) usesMoving(pi int) bool {
	return slices.ContainsFunc(c.links.ofPolicy(pi), func(i int32) bool { return c.moved[i] != nil })
}

// classes sorts the policies into classes and tells in which of them one is touched. A policy whose selector changes is
// in it with both.
func (c *computation) classes() (classes [][]contender, touched []bool) {
	var number numbering[class]
	of := make([]int32, len(c.inv.Policies))
	var sizes []int
	for pi := range c.inv.Policies {
		p := &c.inv.Policies[pi]
		k := number.of(classOf(p), p.Priority<<3+uint32(p.Dir)<<1+uint32(p.Sel.Family)>>3)
		if k == len(sizes) {
			sizes, touched = append(sizes, 0), append(touched, false)
		}
		of[pi] = int32(k)
		sizes[k]++
		touched[k] = touched[k] || c.touches(pi)
	}
	classes = make([][]contender, len(sizes))
	for pi, k := range of {
		if !touched[k] || sizes[k] < 2 {
			continue
		}
		if classes[k] == nil {
			classes[k] = make([]contender, 0, sizes[k])
		}
		p := &c.inv.Policies[pi]
		classes[k] = append(classes[k], contender{int32(pi), &p.Sel})
		if next := c.next[pi]; next != nil && next.Sel != p.Sel && next.Sel.Family == p.Sel.Family {
			classes[k] = append(classes[k], contender{int32(pi), &next.Sel})
		}
	}
	return classes, touched
}

// Tied tells which policies of a group stand in an order of age among those that are replaced: policies of equal priority
// that overlap, the older ones first. They have to be replaced in that order, and in place: UPDPOLICY keeps a policy where
// it stands in its hash chain, so that an interrupted series can be repeated; deleting and adding doesn't.
func Tied(policies []PolicyChange) []bool {
	tied := make([]bool, len(policies))
	eachTie(policies, func(older, younger int32) { tied[older], tied[younger] = true, true })
	return tied
}

// eachTie calls f for each two policies of a group that are replaced and of which the older one comes first, once or more
// often.
func eachTie(policies []PolicyChange, f func(older, younger int32)) {
	byClass := make(map[class][]contender)
	for i := range policies {
		p := &policies[i]
		if p.New == nil && !inPlace(p.Old) {
			continue
		}
		k := classOf(p.Old)
		byClass[k] = append(byClass[k], contender{int32(i), &p.Old.Sel})
		if p.New != nil && p.New.Sel != p.Old.Sel && p.New.Sel.Family == p.Old.Sel.Family {
			byClass[k] = append(byClass[k], contender{int32(i), &p.New.Sel})
		}
	}
	for _, all := range byClass {
		if len(all) > 1 {
			overlaps(all, func(a, b int32) { f(min(a, b), max(a, b)) })
		}
	}
}
