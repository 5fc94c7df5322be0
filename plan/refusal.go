package plan

import (
	"cmp"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The slugs of refusals and warnings. They are stable: scripts and tests rely on them.
const (
	SlugConflict          Slug = "target-occupied"     // an SA that stays holds a target tuple
	SlugSameTarget        Slug = "same-target"         // two SAs of the plan are mapped to one tuple
	SlugMixedFamilies     Slug = "mixed-families"      // one end of an SA would be IPv4 and the other IPv6
	SlugPartlySelected    Slug = "partly-selected"     // a Child SA or a policy would lose some of its SAs
	SlugOffload           Slug = "hardware-offload"    // the SA is offloaded and the plan doesn't say what becomes of it
	SlugAmbiguousMark     Slug = "ambiguous-mark"      // the kernel could take another SA for this one
	SlugMarkOnly          Slug = "mark-only"           // a new mark at the old address would duplicate the SA
	SlugPolicyMark        Slug = "policy-mark"         // with its new mark an SA's policy would not find it
	SlugSharedTemplate    Slug = "shared-template"     // with a new reqid or mark, a policy would take SAs of two Child SAs
	SlugTransportSelector Slug = "transport-selector"  // what a transport-mode SA is for, are its old addresses
	SlugPolicyExists      Slug = "policy-exists"       // a policy would get the selector of another one
	SlugNeedsEncap        Slug = "needs-encapsulation" // a NAT keepalive or mapping age without UDP encapsulation
	SlugNotESP            Slug = "not-esp"             // UDP encapsulation for another protocol
	SlugIrreversible      Slug = "irreversible"        // an encapsulation that no migration can bring back
	SlugUnknownLink       Slug = "unknown-interface"   // offload to an interface that is not there
	SlugBlockOrphan       Slug = "orphaned-block"      // a block policy of an earlier run
	SlugClearInward       Slug = "cleartext-inward"    // while a policy of priority 0 is replaced, a younger one would let cleartext in
	SlugTwice             Slug = "applied-before"      // the plan was applied and would move SAs once more
	SlugOwned             Slug = "ike-owned"           // an IKE daemon owns the SAs and the plan doesn't say how it learns of the move
	SlugUnanswered        Slug = "ike-unanswered"      // a daemon can't be asked what it owns
	SlugNoSuccessor       Slug = "ike-no-successor"    // the daemon has no connection at the new addresses to set up
	SlugUnowned           Slug = "unowned"             // nobody could set an SA up again that the kernel loses
	SlugUnknownDirection  Slug = "unknown-direction"   // nothing tells whether an SA is inbound or outbound: a refusal where it matters
	SlugPolicyLifetime    Slug = "policy-lifetime"     // a rewritten policy starts its lifetime anew
	SlugPolicyAlone       Slug = "policy-without-sa"   // rewritten although no SA uses it
	SlugBlockInPlace      Slug = "block-in-place"      // a policy of priority 0 is replaced while its SAs move
	SlugEqualPriority     Slug = "equal-priority"      // policies are rewritten, or groups made one, to keep an order of age
	SlugHostSelector      Slug = "host-selector"       // the policies of a tunnel-mode SA are for its old addresses
	SlugLarval            Slug = "negotiating"         // an SA is being negotiated at an address that the plan moves
)

// refuse notes a refusal. It is about sa's group, or about none if sa is nil.
func (c *computation) refuse(slug Slug, sa *xfrm.SA, reason, hint string) {
	c.remarks.Lock()
	defer c.remarks.Unlock()
	c.plan.Refusals = append(c.plan.Refusals, Refusal{Slug: slug, Reason: reason, Hint: hint})
	c.about = append(c.about, sa)
}

// nameGroups completes the refusals when groups have their names.
func (c *computation) nameGroups() {
	if len(c.about) == 0 {
		return
	}
	names := make(map[*xfrm.SA]string)
	for g := range c.groups {
		for _, i := range c.groups[g].sas {
			names[&c.inv.SAs[i]] = c.plan.Groups[g].Name
		}
	}
	for i, sa := range c.about {
		c.plan.Refusals[i].Group = names[sa]
	}
}

func (c *computation) warn(slug Slug, group, text string) {
	c.remarks.Lock()
	defer c.remarks.Unlock()
	c.plan.Warnings = append(c.plan.Warnings, Warning{slug, group, text})
}

// sortRemarks makes the order of refusals and warnings independent of the kernel's, and says each once.
func (c *computation) sortRemarks() {
	p := c.plan
	slices.SortFunc(p.Refusals, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Reason, b.Reason))
	})
	p.Refusals = slices.Compact(p.Refusals)
	slices.SortFunc(p.Warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Slug, b.Slug), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Text, b.Text))
	})
	p.Warnings = slices.Compact(p.Warnings)
}
