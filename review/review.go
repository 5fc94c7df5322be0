package review

import (
	"encoding/json"
	"io"
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Review is a computed plan as it is shown: the one model that the text and the JSON are made of. In JSON, fields are
// only ever added.
type Review struct {
	Plan      string    `json:"plan"`
	Digest    string    `json:"digest"` // of the plan file
	NetNS     string    `json:"netns"`  // empty for the current one
	Changes   bool      `json:"changes"`
	Counts    Counts    `json:"counts"`
	Waves     []Wave    `json:"waves"`
	Groups    []Group   `json:"groups"`
	Refusals  []Refusal `json:"refusals"`
	Warnings  []Warning `json:"warnings"`
	Unchanged int       `json:"unchanged"` // SAs that match and are as the plan wants them
}

// Counts sums the plan up.
type Counts struct {
	Groups         int `json:"groups"`
	Calls          int `json:"calls"`
	PolicyRewrites int `json:"policyRewrites"`
	LegacyCalls    int `json:"legacyCalls"` // what XFRM_MSG_MIGRATE would have taken
}

// Wave names the groups that run together, and the pause before it.
type Wave struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
	Pause  string   `json:"pause,omitempty"`
}

// Group is one transaction.
type Group struct {
	Name     string   `json:"name"`
	Calls    []Call   `json:"calls"`
	Policies []Policy `json:"policies"`
	After    []string `json:"after,omitempty"` // groups that have to be through before
}

// Call is one SA that moves.
type Call struct {
	Proto     string `json:"proto"`
	SPI       string `json:"spi"`
	Direction string `json:"direction"` // in, out or unset
	Mode      string `json:"mode"`
	Old       SA     `json:"old"`
	New       SA     `json:"new"`
	Hop       string `json:"hop,omitempty"` // where it steps aside to first
}

// SA is what of an SA a migration can change, and what tells it from others.
type SA struct {
	Src          netip.Addr `json:"src"`
	Dst          netip.Addr `json:"dst"`
	Reqid        uint32     `json:"reqid"`
	Mark         string     `json:"mark,omitempty"`
	OutputMark   string     `json:"outputMark,omitempty"`
	IfID         uint32     `json:"ifId,omitempty"`
	Encap        string     `json:"encap"`
	Selector     string     `json:"selector"`
	NATKeepalive uint32     `json:"natKeepalive,omitempty"`
	MTimer       uint32     `json:"mappingMaxAge,omitempty"`
	Offload      string     `json:"offload,omitempty"`
	CPU          *uint32    `json:"cpu,omitempty"`   // of a per-CPU SA
	Label        string     `json:"label,omitempty"` // its security context
}

// Policy is a policy that is blocked for a moment and, if Rewritten, has New templates after.
type Policy struct {
	Direction string   `json:"direction"`
	Selector  string   `json:"selector"`
	NewSel    string   `json:"newSelector,omitempty"` // if it changes
	Mark      string   `json:"mark,omitempty"`
	IfID      uint32   `json:"ifId,omitempty"`
	Sub       bool     `json:"subPolicy,omitempty"`
	Label     string   `json:"label,omitempty"` // its security context
	Priority  uint32   `json:"priority"`
	Index     uint32   `json:"index"`
	Rewritten bool     `json:"rewritten"`
	Old       []string `json:"old"`
	New       []string `json:"new,omitempty"`
}

// Refusal is why the plan can't be applied.
type Refusal struct {
	Slug   plan.Slug `json:"slug"`
	Group  string    `json:"group,omitempty"`
	Reason string    `json:"reason"`
	Hint   string    `json:"hint"`
}

// Warning is worth knowing.
type Warning struct {
	Slug  plan.Slug `json:"slug"`
	Group string    `json:"group,omitempty"`
	Text  string    `json:"text"`
}

// JSON writes the review as one indented JSON object.
func (r *Review) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Of makes the review of a plan for the network namespace of that name.
func Of(p *plan.Plan, netns string) *Review {
	c := p.Counts()
	r := &Review{
		Plan: p.Name, Digest: p.Digest, NetNS: netns, Changes: !p.Empty(), Unchanged: c.Unchanged,
		Counts: Counts{c.Groups, c.Calls, c.Rewrites, c.LegacyCalls},
		Waves:  []Wave{}, Groups: []Group{}, Refusals: []Refusal{}, Warnings: []Warning{},
	}
	for _, w := range p.Waves {
		rw := Wave{Name: w.Name, Groups: names(p, w.Groups)}
		if w.Pause > 0 {
			rw.Pause = w.Pause.String()
		}
		r.Waves = append(r.Waves, rw)
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		rg := Group{Name: g.Name, Calls: []Call{}, Policies: []Policy{}, After: names(p, g.After)}
		for j := range g.Calls {
			rg.Calls = append(rg.Calls, callOf(&g.Calls[j]))
		}
		for j := range g.Policies {
			rg.Policies = append(rg.Policies, policyOf(&g.Policies[j]))
		}
		r.Groups = append(r.Groups, rg)
	}
	for _, x := range p.Refusals {
		r.Refusals = append(r.Refusals, Refusal(x))
	}
	for _, x := range p.Warnings {
		r.Warnings = append(r.Warnings, Warning(x))
	}
	return r
}

func names(p *plan.Plan, groups []int) (all []string) {
	for _, gi := range groups {
		all = append(all, p.Groups[gi].Name)
	}
	return all
}

func policyOf(pc *plan.PolicyChange) Policy {
	p := Policy{
		Direction: pc.Old.Dir.String(), Selector: pc.Old.Sel.String(), Priority: pc.Old.Priority, Index: pc.Old.Index,
		Mark: mark(pc.Old.Mark), IfID: pc.Old.IfID, Sub: pc.Old.Type == xfrm.PolicySub, Label: plan.SecurityContext(pc.Old.Label),
		Rewritten: pc.New != nil, Old: templates(pc.Old),
	}
	if pc.New != nil {
		p.New = templates(pc.New)
		if pc.New.Sel != pc.Old.Sel {
			p.NewSel = pc.New.Sel.String()
		}
	}
	return p
}

func templates(p *xfrm.Policy) []string {
	all := make([]string, len(p.Templates))
	for i := range p.Templates {
		all[i] = p.Templates[i].String()
	}
	return all
}
