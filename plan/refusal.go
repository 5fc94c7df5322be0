package plan

// The slugs of refusals and warnings. They are stable: scripts and tests rely on them.
const (
	SlugConflict         Slug = "target-occupied"     // an SA that stays holds a target tuple
	SlugSameTarget       Slug = "same-target"         // two SAs of the plan are mapped to one tuple
	SlugMixedFamilies    Slug = "mixed-families"      // one end of an SA would be IPv4 and the other IPv6
	SlugPartlySelected   Slug = "partly-selected"     // a policy would lose some of its SAs
	SlugOffload          Slug = "hardware-offload"    // the SA is offloaded and the plan doesn't say what becomes of it
	SlugAmbiguousMark    Slug = "ambiguous-mark"      // the kernel could take another SA for this one
	SlugMarkOnly         Slug = "mark-only"           // a new mark at the old address would duplicate the SA
	SlugTransportTraffic Slug = "transport-selector"  // the policies of a transport-mode SA are for its old addresses
	SlugNeedsEncap       Slug = "needs-encapsulation" // a NAT keepalive or mapping age without UDP encapsulation
	SlugUnknownLink      Slug = "unknown-interface"   // offload to an interface that is not there
	SlugBlockOrphan      Slug = "orphaned-block"      // a block policy of an earlier run
	SlugPolicyLifetime   Slug = "policy-lifetime"     // a rewritten policy starts its lifetime anew
	SlugPolicyAlone      Slug = "policy-without-sa"   // rewritten although no SA uses it
	SlugUnknownDirection Slug = "unknown-direction"   // nothing tells whether an SA is inbound or outbound
	SlugNoBlock          Slug = "block-in-place"      // a policy of priority 0 is replaced while its SAs move
)

func (p *Plan) refuse(slug Slug, group, reason, hint string) {
	p.Refusals = append(p.Refusals, Refusal{slug, group, reason, hint})
}

func (p *Plan) warn(slug Slug, group, text string) {
	p.Warnings = append(p.Warnings, Warning{slug, group, text})
}
