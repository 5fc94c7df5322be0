package schema

import (
	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// document decodes the tree, which walk and validate have been over, and checks what neither can.
func (l *loader) document(root *yaml.Node) *plan.Document {
	doc := &plan.Document{
		Targets: []plan.Target{{}},
		Waves:   []plan.WaveSpec{{Name: "all", Percent: 100}},
		Checks:  plan.Checks{LocalAddressAssigned: true, RouteToPeer: true},
		OnError: plan.OnErrorRollback,
		OnExist: plan.OnExistRollback,
	}
	if l.bad[root] {
		return nil
	}
	decode(l, root, documentFields, doc)
	l.needDriver(root, doc)
	return doc
}

var documentFields = fields[plan.Document]{
	// The schema admits one apiVersion and one kind, which the document therefore need not keep.
	"apiVersion": func(*loader, *yaml.Node, *plan.Document) {},
	"kind":       func(*loader, *yaml.Node, *plan.Document) {},
	"metadata": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, metadataFields, &d.Metadata)
	},
	"window": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, windowFields, &d.Window)
		l.checkWindow(n, d.Window)
	},
	"targets": func(l *loader, n *yaml.Node, d *plan.Document) { d.Targets = l.targets(n) },
	"renumber": func(l *loader, n *yaml.Node, d *plan.Document) {
		d.Renumber = l.renumber(n)
	},
	"select": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, selectFields, &d.Select)
	},
	"overrides": func(l *loader, n *yaml.Node, d *plan.Document) {
		for _, entry := range l.entries(n) {
			o := plan.Override{Pos: pos(entry)}
			decode(l, entry, overrideFields, &o)
			d.Overrides = append(d.Overrides, o)
		}
	},
	"transaction": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, transactionFields, &d.Transaction)
	},
	"waves": func(l *loader, n *yaml.Node, d *plan.Document) { d.Waves = l.waves(n) },
	"checks": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, checksFields, &d.Checks)
	},
	"onError": word(func(d *plan.Document) *plan.OnError { return &d.OnError }),
	"onExist": word(func(d *plan.Document) *plan.OnExist { return &d.OnExist }),
	"ike": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, ikeFields, &d.IKE)
	},
	"reestablish": func(l *loader, n *yaml.Node, d *plan.Document) {
		l.reestablish(n, &d.Reestablish)
	},
	"confirm": func(l *loader, n *yaml.Node, d *plan.Document) {
		decode(l, n, confirmFields, d)
	},
}

var metadataFields = fields[plan.Metadata]{
	"name": func(l *loader, n *yaml.Node, m *plan.Metadata) {
		m.Name = l.label(n)
	},
	"description": text(func(m *plan.Metadata) *string { return &m.Description }),
	"change":      text(func(m *plan.Metadata) *string { return &m.Change }),
}

var transactionFields = fields[plan.Transaction]{
	"parallelism": func(_ *loader, n *yaml.Node, t *plan.Transaction) { t.Parallelism = int(whole(n)) },
}

var ikeFields = fields[plan.IKE]{
	"follow": word(func(i *plan.IKE) *plan.Follow { return &i.Follow }),
}

func pos(n *yaml.Node) plan.Pos { return plan.Pos{Line: n.Line, Column: n.Column} }
