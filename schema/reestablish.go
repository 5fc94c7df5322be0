package schema

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// defaultSockets are where the daemons listen unless they were told otherwise.
var defaultSockets = map[plan.Driver]string{plan.DriverVICI: "/run/charon.vici", plan.DriverLibreswan: "/run/pluto/pluto.ctl"}

const (
	// defaultReestablishTimeout is beyond the time that charon retries an unanswered message before most give up on it.
	defaultReestablishTimeout = time.Minute
	// longestSocketPath is what fits into sockaddr_un with its terminating zero (unix(7)).
	longestSocketPath = 107
)

var reestablishFields = fields[plan.Reestablish]{
	"driver": word(func(r *plan.Reestablish) *plan.Driver { return &r.Driver }),
	"socket": func(l *loader, n *yaml.Node, r *plan.Reestablish) {
		l.absolute(n, "the socket")
		if len(n.Value) > longestSocketPath {
			l.refuse(n, tooLong, "a socket's path is too long for the kernel", "write at most 107 bytes")
		}
		r.Socket = n.Value
	},
	"command": func(l *loader, n *yaml.Node, r *plan.Reestablish) { r.Command = l.argv(n) },
	"timeout": func(l *loader, n *yaml.Node, r *plan.Reestablish) {
		r.Timeout = l.duration(n, time.Second, longestWait)
	},
	"unowned": func(_ *loader, n *yaml.Node, r *plan.Reestablish) { r.AcceptLoss = n.Value == "accept-loss" },
}

// reestablish decodes the mapping and checks that each key goes with the driver.
func (l *loader) reestablish(n *yaml.Node, r *plan.Reestablish) {
	decode(l, n, reestablishFields, r)
	driver := child(n, "driver")
	if driver != nil && l.bad[driver] {
		return
	}
	if driver == nil {
		for _, key := range []string{"socket", "command", "timeout"} {
			if l.good(n, key) != nil {
				l.note(n, driverMissing, key+" without a driver", "add driver: vici, libreswan or command")
				return
			}
		}
		return
	}
	if socket := l.good(n, "socket"); socket != nil && defaultSockets[r.Driver] == "" {
		l.refuse(socket, driverMismatch, "the driver "+string(r.Driver)+" has no socket", "remove socket, or write driver: vici or libreswan")
	}
	command := l.good(n, "command")
	if command != nil && r.Driver != plan.DriverCommand {
		l.refuse(command, driverMismatch, "the driver "+string(r.Driver)+" has no command", "remove command, or write driver: command")
	}
	if child(n, "command") == nil && r.Driver == plan.DriverCommand {
		l.note(driver, driverMismatch, "the driver command without a command", "add command: [/usr/local/bin/bring-up]")
	}
	if r.Socket == "" {
		r.Socket = defaultSockets[r.Driver]
	}
	if child(n, "timeout") == nil {
		r.Timeout = defaultReestablishTimeout
	}
}

// needDriver refuses a plan that counts on re-establishing without saying who does it.
func (l *loader) needDriver(root *yaml.Node, doc *plan.Document) {
	if b := child(root, "reestablish"); b != nil && (l.bad[b] || child(b, "driver") != nil) {
		return
	}
	const hint = "add reestablish: {driver: vici} (or libreswan, or command)"
	if n := l.good(root, "onExist"); n != nil && doc.OnExist == plan.OnExistReestablish {
		l.note(n, driverMissing, "onExist: reestablish without a driver", hint)
	}
	ike := l.good(root, "ike")
	if ike == nil {
		return
	}
	if n := l.good(ike, "follow"); n != nil && doc.IKE.Follow == plan.FollowReestablish {
		l.note(n, driverMissing, "ike.follow: reestablish without a driver", hint)
	}
}
