package schema

import (
	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

var selectFields = fields[plan.Select]{
	"include": func(l *loader, n *yaml.Node, s *plan.Select) { s.Include = l.matches(n) },
	"exclude": func(l *loader, n *yaml.Node, s *plan.Select) { s.Exclude = l.matches(n) },
}

func (l *loader) matches(n *yaml.Node) []plan.Match {
	out := make([]plan.Match, 0, len(n.Content))
	for _, entry := range l.entries(n) {
		m := plan.Match{Pos: pos(entry)}
		decode(l, entry, matchFields, &m)
		out = append(out, m)
	}
	return out
}

var (
	protos = map[string]xfrm.Proto{"esp": xfrm.ProtoESP, "ah": xfrm.ProtoAH, "comp": xfrm.ProtoComp}
	modes  = map[string]xfrm.Mode{"transport": xfrm.ModeTransport, "tunnel": xfrm.ModeTunnel, "beet": xfrm.ModeBEET}
)

var matchFields = fields[plan.Match]{
	"reqid": number32(func(m *plan.Match) **uint32 { return &m.Reqid }),
	"ifId":  number32(func(m *plan.Match) **uint32 { return &m.IfID }),
	"mark":  func(l *loader, n *yaml.Node, m *plan.Match) { m.Mark = l.mark(n) },
	"proto": func(_ *loader, n *yaml.Node, m *plan.Match) {
		p := protos[n.Value]
		m.Proto = &p
	},
	"mode": func(_ *loader, n *yaml.Node, m *plan.Match) {
		mode := modes[n.Value]
		m.Mode = &mode
	},
	"local":  func(l *loader, n *yaml.Node, m *plan.Match) { m.Local, _ = l.prefix(n) },
	"remote": func(l *loader, n *yaml.Node, m *plan.Match) { m.Remote, _ = l.prefix(n) },
	"spi":    func(l *loader, n *yaml.Node, m *plan.Match) { m.SPI = l.spi(n) },
}
