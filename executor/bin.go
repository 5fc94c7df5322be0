package executor

import (
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Bins counts the policies in each bin of the SPD: those of one type, direction, family and if_id, which the kernel
// keeps in trees of their own. Policies that it finds by hash (xfrm.SPDInfo) are counted too, so that the number is one
// at most. The nil map is that of an SPD that nobody has counted.
type Bins map[bin]int

type bin struct {
	typ    xfrm.PolicyType
	dir    xfrm.Dir
	family xfrm.Family
	ifID   uint32
}

// BinsOf counts the SPD.
func BinsOf(spd []xfrm.Policy) Bins {
	all := make(Bins)
	for i := range spd {
		all[binOf(&spd[i])]++
	}
	return all
}

func binOf(p *xfrm.Policy) bin { return bin{p.Type, p.Dir, p.Sel.Family, p.IfID} }

// smallBin is up to how many policies of a bin are replaced in place. That takes one message, and the kernel walks over
// the whole bin; to delete and add by index takes two at a cost that does not depend on the bin, and two more for what
// stands in meanwhile. A walk over this many policies costs about half as much as one message where they are in the
// processor's cache (docs/benchmarks.md), and as much as one where they are not.
const smallBin = 64

func (b Bins) small(p *xfrm.Policy) bool {
	n := b[binOf(p)]
	return n > 0 && n <= smallBin
}

// direct tells which policies of a transaction UPDPOLICY replaces because that is the cheaper way. Those that have to be
// replaced in another manner for a reason of their own, those in an order of age among them, it does not tell of.
func (b Bins) direct(policies []plan.PolicyChange, tied []bool) []bool {
	all := make([]bool, len(policies))
	for i := range policies {
		pc := &policies[i]
		all[i] = !tied[i] && pc.New != nil && !replacedInPlace(pc) && !reselected(pc) && b.small(pc.Old)
	}
	return all
}
