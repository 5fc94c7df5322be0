package xfrm

// Tag is the value of Selector.User that marks a policy as ours and temporary: "xpln" read as a number. The kernel
// doesn't match User against packets but compares it when policies are told apart, so that a tagged policy stands
// beside the one that it covers and can be found again without a journal.
const Tag uint32 = 0x78706c6e

// Tagged reports whether the policy carries our Tag.
func (p *Policy) Tagged() bool { return p.Sel.User == Tag }
