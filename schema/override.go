package schema

import (
	"regexp"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

var overrideFields = fields[plan.Override]{
	"match": func(l *loader, n *yaml.Node, o *plan.Override) {
		o.Match.Pos = pos(n)
		decode(l, n, matchFields, &o.Match)
	},
	"set": func(l *loader, n *yaml.Node, o *plan.Override) { decode(l, n, setFields, &o.Set) },
}

var setFields = fields[plan.Changes]{
	"reqid": number32(func(c *plan.Changes) **uint32 { return &c.Reqid }),
	"encap": func(l *loader, n *yaml.Node, c *plan.Changes) {
		c.Encap = &plan.EncapChange{None: n.Kind == yaml.ScalarNode}
		decode(l, n, encapFields, c.Encap)
	},
	"selector": func(l *loader, n *yaml.Node, c *plan.Changes) {
		c.Selector = &plan.SelectorChange{Kind: plan.SelectorKind(n.Value)}
		if n.Kind == yaml.MappingNode {
			c.Selector.Kind = plan.SelectorExplicit
			decode(l, n, selectorFields, c.Selector)
			l.checkFamilies(n, c.Selector)
		}
	},
	"mark":          func(l *loader, n *yaml.Node, c *plan.Changes) { c.Mark = l.mark(n) },
	"outputMark":    func(l *loader, n *yaml.Node, c *plan.Changes) { c.OutputMark = l.mark(n) },
	"natKeepalive":  number32(func(c *plan.Changes) **uint32 { return &c.NATKeepalive }),
	"mappingMaxAge": number32(func(c *plan.Changes) **uint32 { return &c.MappingMaxAge }),
	"offload": func(l *loader, n *yaml.Node, c *plan.Changes) {
		c.Offload = &plan.OffloadChange{None: n.Kind == yaml.ScalarNode}
		decode(l, n, offloadFields, c.Offload)
	},
}

var encapFields = fields[plan.EncapChange]{
	"localPort":  func(_ *loader, n *yaml.Node, e *plan.EncapChange) { e.LocalPort = uint16(whole(n)) },
	"remotePort": func(_ *loader, n *yaml.Node, e *plan.EncapChange) { e.RemotePort = uint16(whole(n)) },
}

var selectorFields = fields[plan.SelectorChange]{
	"local":  func(l *loader, n *yaml.Node, s *plan.SelectorChange) { s.Local, _ = l.prefix(n) },
	"remote": func(l *loader, n *yaml.Node, s *plan.SelectorChange) { s.Remote, _ = l.prefix(n) },
}

func (l *loader) checkFamilies(n *yaml.Node, s *plan.SelectorChange) {
	if s.Local.IsValid() && s.Remote.IsValid() && s.Local.Addr().Is4() != s.Remote.Addr().Is4() {
		l.refuse(child(n, "remote"), mixedFamilies, "a selector has one address family, and local is "+s.Local.String(),
			"write a prefix of the family of local")
	}
}

// deviceName is what the kernel's dev_valid_name takes, less what nobody calls an interface: IFNAMSIZ is 16 with the
// terminating zero.
var deviceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$`)

var offloadFields = fields[plan.OffloadChange]{
	"dev": func(l *loader, n *yaml.Node, o *plan.OffloadChange) {
		if !deviceName.MatchString(n.Value) {
			l.refuse(n, badName, "no name of a network interface", "write it as ip link shows it, at most 15 characters")
		}
		o.Dev = n.Value
	},
	"mode": func(_ *loader, n *yaml.Node, o *plan.OffloadChange) { o.Packet = n.Value == "packet" },
}
