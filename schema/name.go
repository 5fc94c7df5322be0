package schema

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// labelForm is an RFC 1123 label: it is safe in a path, in a unit's name and on a command line.
var labelForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

var notOfLabel = regexp.MustCompile(`[^a-z0-9]+`)

// label is a name that may become part of a path.
func (l *loader) label(n *yaml.Node) string {
	if labelForm.MatchString(n.Value) {
		return n.Value
	}
	hint := "write 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
	tidy := strings.Trim(notOfLabel.ReplaceAllString(strings.ToLower(n.Value), "-"), "-")
	if labelForm.MatchString(tidy) {
		hint = "write " + tidy
	}
	l.refuse(n, badName, "a name has lower-case letters, digits and hyphens only, at most 63", hint)
	return ""
}

var targetFields = fields[plan.Target]{
	"netns": func(l *loader, n *yaml.Node, t *plan.Target) {
		v := n.Value
		switch {
		case v == "." || v == ".." || strings.Contains(v, "/"):
			hint := "write the name alone, as ip netns lists it"
			if base := path.Base(v); strings.HasPrefix(v, "/") && base != "/" && base != ".." {
				hint = "write the name alone: " + base
			}
			l.refuse(n, badName, "a network namespace is named, not given as a path", hint)
		case strings.HasPrefix(v, "-") || strings.IndexFunc(v, unicode.IsSpace) >= 0:
			l.refuse(n, badName, "no name of a network namespace", "write the name as ip netns lists it")
		default:
			t.NetNS = v
		}
	},
}

func (l *loader) targets(n *yaml.Node) []plan.Target {
	var out []plan.Target
	first := map[string]int{}
	for _, entry := range l.entries(n) {
		var t plan.Target
		decode(l, entry, targetFields, &t)
		name := l.good(entry, "netns")
		if name == nil {
			continue
		}
		if line, taken := first[t.NetNS]; taken {
			l.refuse(name, duplicateName, "a network namespace that is there already", fmt.Sprintf("keep one; the first is on line %d", line))
			continue
		}
		first[t.NetNS] = name.Line
		out = append(out, t)
	}
	return out
}

// absolute checks a path that the program will open or run as root.
func (l *loader) absolute(n *yaml.Node, what string) {
	switch {
	case !strings.HasPrefix(n.Value, "/"):
		l.refuse(n, badPath, what+" must be an absolute path", "begin it with /")
	case path.Clean(n.Value) != n.Value:
		l.refuse(n, badPath, what+" must be a plain path", "write "+path.Clean(n.Value))
	}
}

// argv is a program and its arguments.
func (l *loader) argv(n *yaml.Node) []string {
	out := make([]string, 0, len(n.Content))
	for i, entry := range n.Content {
		if l.bad[entry] {
			continue
		}
		if i == 0 {
			l.absolute(entry, "the program")
		}
		out = append(out, entry.Value)
	}
	return out
}
