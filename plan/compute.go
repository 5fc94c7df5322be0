package plan

import (
	"fmt"
	"sync"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// computation is the state of one Compute. SAs, policies and groups go by their numbers until the plan is built:
// copying them about would cost more than everything else.
type computation struct {
	doc       *Document
	inv       *Inventory
	mapping   *mapping
	selection *selection
	links     *links
	plan      *Plan
	about     []*xfrm.SA // by refusal; see refuse
	remarks   sync.Mutex // guards about and what the plan has to say besides its groups, which come in any order

	moved    []*move        // by SA; nil if it stays
	left     []bool         // by SA: it has an address of the plan and the selection leaves it out
	retagged bool           // an SA gets another reqid or mark
	notESP   []int32        // SAs for which something of UDP encapsulation is set, and that are not ESP
	next     []*xfrm.Policy // by policy; nil if it stays
	aged     bool           // policies of equal priority have to be rewritten by age
	groups   []members
	tuples   *chains[tuple] // of SAs with an SPI, larval ones too
	hops     map[xfrm.SAID]bool
}

// Compute works out what the document means for what the inventory holds. It never fails: what keeps the plan from
// being applied stands in its Refusals.
func Compute(doc *Document, inv *Inventory) *Plan {
	c := &computation{
		doc: doc, inv: inv,
		mapping:   newMapping(doc.Renumber),
		selection: newSelection(doc),
		links:     link(inv),
		plan:      &Plan{Name: doc.Metadata.Name, Digest: doc.Digest},
	}
	c.orphans()
	c.moves()
	c.bundled()
	c.partly()
	c.rewrites()
	c.mingled()
	c.keepAge()
	c.gather()
	c.order()
	c.build()
	c.nameGroups()
	c.sortRemarks()
	c.plan.Waves = waves(doc.Waves, len(c.plan.Groups))
	return c.plan
}

// orphans refuses to work beside block policies that an earlier run left behind.
func (c *computation) orphans() {
	for i := range c.inv.Policies {
		if p := &c.inv.Policies[i]; p.Tagged() {
			c.refuse(SlugBlockOrphan, nil,
				fmt.Sprintf("policy %v %v (index %d) was left behind by an earlier run", p.Dir, p.Sel, p.Index),
				"run `xfrm-plan recover` first")
		}
	}
}

// partly refuses to move a part of a Child SA: the peer moves all of it.
func (c *computation) partly() {
	leaving := make(map[int32]*move)
	for i, left := range c.left {
		if left {
			leaving[c.links.children.find(int32(i))] = nil
		}
	}
	if len(leaving) == 0 {
		return
	}
	for i, v := range c.moved {
		if v == nil {
			continue
		}
		root := c.links.children.find(int32(i))
		if first, ok := leaving[root]; ok && (first == nil || compareSAs(v.sa, first.sa) < 0) {
			leaving[root] = v
		}
	}
	for i, left := range c.left {
		if !left {
			continue
		}
		if v := leaving[c.links.children.find(int32(i))]; v != nil {
			c.refuse(SlugPartlySelected, v.sa,
				fmt.Sprintf("SA %v is left out, and SA %v of the same Child SA is not", c.inv.SAs[i].ID, v.sa.ID),
				"select all SAs of the Child SA or none")
		}
	}
}
