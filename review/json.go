package review

import (
	"encoding/json"
	"io"
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The JSON form. Fields are only ever added.
type (
	jsonPlan struct {
		Plan      string        `json:"plan"`
		Digest    string        `json:"digest"`
		NetNS     string        `json:"netns"`
		Changes   bool          `json:"changes"`
		Counts    jsonCounts    `json:"counts"`
		Waves     []jsonWave    `json:"waves"`
		Groups    []jsonGroup   `json:"groups"`
		Refusals  []jsonRefusal `json:"refusals"`
		Warnings  []jsonWarning `json:"warnings"`
		Unchanged int           `json:"unchanged"`
	}
	jsonCounts struct {
		Groups         int `json:"groups"`
		Calls          int `json:"calls"`
		PolicyRewrites int `json:"policyRewrites"`
		LegacyCalls    int `json:"legacyCalls"`
	}
	jsonWave struct {
		Name   string   `json:"name"`
		Groups []string `json:"groups"`
		Pause  string   `json:"pause,omitempty"`
	}
	jsonGroup struct {
		Name     string       `json:"name"`
		Calls    []jsonCall   `json:"calls"`
		Policies []jsonPolicy `json:"policies"`
		After    []string     `json:"after,omitempty"`
	}
	jsonCall struct {
		Proto     string `json:"proto"`
		SPI       string `json:"spi"`
		Direction string `json:"direction"`
		Mode      string `json:"mode"`
		Old       jsonSA `json:"old"`
		New       jsonSA `json:"new"`
	}
	jsonSA struct {
		Src          netip.Addr `json:"src"`
		Dst          netip.Addr `json:"dst"`
		Reqid        uint32     `json:"reqid"`
		Mark         string     `json:"mark,omitempty"`
		OutputMark   string     `json:"outputMark,omitempty"`
		IfID         uint32     `json:"ifId,omitempty"`
		Encap        string     `json:"encap,omitempty"`
		Selector     string     `json:"selector"`
		NATKeepalive uint32     `json:"natKeepalive,omitempty"`
		MTimer       uint32     `json:"mappingMaxAge,omitempty"`
	}
	jsonPolicy struct {
		Direction string   `json:"direction"`
		Selector  string   `json:"selector"`
		Priority  uint32   `json:"priority"`
		Index     uint32   `json:"index"`
		Rewritten bool     `json:"rewritten"`
		Old       []string `json:"old"`
		New       []string `json:"new,omitempty"`
	}
	jsonRefusal struct {
		Slug   plan.Slug `json:"slug"`
		Group  string    `json:"group,omitempty"`
		Reason string    `json:"reason"`
		Hint   string    `json:"hint"`
	}
	jsonWarning struct {
		Slug  plan.Slug `json:"slug"`
		Group string    `json:"group,omitempty"`
		Text  string    `json:"text"`
	}
)

// JSON writes the plan as one JSON object. netns is the namespace's name, empty for the current one.
func JSON(w io.Writer, p *plan.Plan, netns string) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document(p, netns))
}

func document(p *plan.Plan, netns string) jsonPlan {
	c := p.Counts()
	d := jsonPlan{
		Plan: p.Name, Digest: p.Digest, NetNS: netns, Changes: !p.Empty(), Unchanged: c.Unchanged,
		Counts: jsonCounts{c.Groups, c.Calls, c.Rewrites, c.LegacyCalls},
		Waves:  []jsonWave{}, Groups: []jsonGroup{}, Refusals: []jsonRefusal{}, Warnings: []jsonWarning{},
	}
	for _, w := range p.Waves {
		jw := jsonWave{Name: w.Name, Groups: groupNames(p, w.Groups)}
		if w.Pause > 0 {
			jw.Pause = w.Pause.String()
		}
		d.Waves = append(d.Waves, jw)
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		jg := jsonGroup{Name: g.Name, Calls: []jsonCall{}, Policies: []jsonPolicy{}, After: groupNames(p, g.After)}
		for j := range g.Calls {
			jg.Calls = append(jg.Calls, call(&g.Calls[j]))
		}
		for j := range g.Policies {
			jg.Policies = append(jg.Policies, policy(&g.Policies[j]))
		}
		d.Groups = append(d.Groups, jg)
	}
	for _, r := range p.Refusals {
		d.Refusals = append(d.Refusals, jsonRefusal(r))
	}
	for _, w := range p.Warnings {
		d.Warnings = append(d.Warnings, jsonWarning(w))
	}
	return d
}

func groupNames(p *plan.Plan, groups []int) (names []string) {
	for _, gi := range groups {
		names = append(names, p.Groups[gi].Name)
	}
	return names
}

func call(c *plan.Call) jsonCall {
	sa, m := &c.SA, &c.Migration
	old := jsonSA{
		Src: sa.SrcIP(), Dst: sa.DstIP(), Reqid: sa.Reqid, Mark: mark(sa.Mark), OutputMark: mark(sa.OutputMark),
		IfID: sa.IfID, Encap: encap(sa.Encap), Selector: sa.Sel.String(), NATKeepalive: sa.NATKeepalive, MTimer: sa.MTimer,
	}
	next := old
	next.Src, next.Dst, next.Reqid, next.Mark = c.NewSrc(), c.NewDst(), m.NewReqid, mark(m.TargetMark())
	next.Selector = m.NewSel.String()
	if m.Flags&xfrm.UpdateH2HSelector != 0 {
		next.Selector = "host-to-host"
	}
	if m.Encap != nil {
		next.Encap = encap(*m.Encap)
	}
	if m.OutputMark != nil {
		next.OutputMark = mark(*m.OutputMark)
	}
	if m.NATKeepalive != nil {
		next.NATKeepalive = *m.NATKeepalive
	}
	if m.MTimer != nil {
		next.MTimer = *m.MTimer
	}
	return jsonCall{sa.ID.Proto.String(), sa.ID.SPI.String(), c.Dir.String(), sa.Mode.String(), old, next}
}

func mark(m xfrm.Mark) string {
	if m == (xfrm.Mark{}) {
		return ""
	}
	return m.String()
}

func policy(pc *plan.PolicyChange) jsonPolicy {
	p := jsonPolicy{
		Direction: pc.Old.Dir.String(), Selector: pc.Old.Sel.String(), Priority: pc.Old.Priority, Index: pc.Old.Index,
		Rewritten: pc.New != nil, Old: templates(&pc.Old),
	}
	if pc.New != nil {
		p.New = templates(pc.New)
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
