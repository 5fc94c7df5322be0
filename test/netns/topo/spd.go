package topo

import (
	"fmt"
	"os/exec"
	"strings"
)

// Policy is a policy as `ip -s xfrm policy` shows it.
type Policy struct {
	Selector string
	UID      uint32 // the selector's user: zero unless somebody tags policies with it
	Dir      string
	Action   string
	Index    uint32
	Priority uint32
	Template string // "SRC > DST", empty for a block policy
}

// SPD reads the policies of a namespace, without those of sockets.
func (n Namespace) SPD() ([]Policy, error) {
	out, err := run(ipXfrm(n, "policy"))
	if err != nil {
		return nil, err
	}
	var all []Policy
	for _, block := range blocks(out) {
		if len(block) > 1 && strings.HasPrefix(block[1], "socket ") {
			continue
		}
		p, err := parsePolicy(block)
		if err != nil {
			return nil, fmt.Errorf("`ip xfrm policy` in %s: %w", n, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func parsePolicy(lines []string) (p Policy, err error) {
	selector, uid, ok := strings.Cut(lines[0], " uid ")
	if !ok || len(lines) < 2 {
		return p, fmt.Errorf("%q: no uid", lines)
	}
	p.Selector = selector
	if _, err := fmt.Sscan(uid, &p.UID); err != nil {
		return p, fmt.Errorf("%q: %w", lines[0], err)
	}
	if _, err := fmt.Sscanf(lines[1], "dir %s action %s index %d priority %d", &p.Dir, &p.Action, &p.Index, &p.Priority); err != nil {
		return p, fmt.Errorf("%q: %w", lines[1], err)
	}
	for _, line := range lines[2:] {
		var src, dst string
		if n, _ := fmt.Sscanf(line, "tmpl src %s dst %s", &src, &dst); n == 2 {
			p.Template = src + " > " + dst
		}
	}
	return p, nil
}

// String shows the policy in a line.
func (p Policy) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s action %s priority %d uid %d %s", p.Dir, p.Selector, p.Action, p.Priority, p.UID, p.Template))
}

func ipXfrm(n Namespace, object string) *exec.Cmd {
	return exec.Command("ip", "-n", string(n), "-s", "xfrm", object)
}

// blocks splits the answer of `ip xfrm`: a block begins with a line that is not indented. Lines come trimmed.
func blocks(out string) (all [][]string) {
	for line := range strings.Lines(out) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
		case !strings.HasPrefix(line, "\t"):
			all = append(all, []string{trimmed})
		case len(all) > 0:
			all[len(all)-1] = append(all[len(all)-1], trimmed)
		}
	}
	return all
}
