package schema

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

const (
	// defaultCommandTimeout is long for a check that only looks.
	defaultCommandTimeout = 30 * time.Second
	// A run that waits for longer than an hour on one check, or on one Child SA, is stuck.
	longestWait = time.Hour
	// Less than ten seconds to confirm is a mistake of units; a day is as long as anybody should leave tunnels in doubt.
	shortestConfirm, longestConfirm = 10 * time.Second, 24 * time.Hour
)

var checksFields = fields[plan.Checks]{
	"before": func(l *loader, n *yaml.Node, c *plan.Checks) { decode(l, n, beforeFields, c) },
	"after":  func(l *loader, n *yaml.Node, c *plan.Checks) { decode(l, n, afterFields, c) },
}

var beforeFields = fields[plan.Checks]{
	"localAddressAssigned": boolean(func(c *plan.Checks) *bool { return &c.LocalAddressAssigned }),
	"routeToPeer":          boolean(func(c *plan.Checks) *bool { return &c.RouteToPeer }),
}

var afterFields = fields[plan.Checks]{
	"inboundTraffic": func(l *loader, n *yaml.Node, c *plan.Checks) { decode(l, n, inboundTrafficFields, c) },
	"command": func(l *loader, n *yaml.Node, c *plan.Checks) {
		c.CommandTimeout = defaultCommandTimeout
		decode(l, n, checkCommandFields, c)
	},
}

var inboundTrafficFields = fields[plan.Checks]{
	"within": func(l *loader, n *yaml.Node, c *plan.Checks) {
		c.InboundTraffic = l.duration(n, time.Second, longestWait)
	},
}

var checkCommandFields = fields[plan.Checks]{
	"run": func(l *loader, n *yaml.Node, c *plan.Checks) { c.Command = l.argv(n) },
	"timeout": func(l *loader, n *yaml.Node, c *plan.Checks) {
		c.CommandTimeout = l.duration(n, time.Second, longestWait)
	},
}

var confirmFields = fields[plan.Document]{
	"within": func(l *loader, n *yaml.Node, d *plan.Document) {
		d.Confirm = l.duration(n, shortestConfirm, longestConfirm)
	},
}
