package ike

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// ChildSAs lists what pluto has. That takes two questions: states have SPIs, connections have addresses and traffic selectors.
func (l *Libreswan) ChildSAs(ctx context.Context) ([]ChildSA, error) {
	states, err := l.states(ctx)
	if err != nil || len(states.children) == 0 {
		return nil, err
	}
	children := states.children
	conns, err := l.conns(ctx)
	if err != nil {
		return nil, err
	}
	for i := range children {
		// One that went between the two questions keeps what its SPIs say.
		if c := conns[children[i].Connection]; c != nil {
			c.describe(&children[i])
		}
	}
	return children, nil
}

// plutoStates is what pluto has.
type plutoStates struct {
	children []ChildSA         // without what connections tell
	owner    map[string]string // the connection of a state, by serial number
	used     map[string]bool   // IKE SAs that a Child SA is in or is to be, by serial number
}

func (l *Libreswan) states(ctx context.Context) (*plutoStates, error) {
	out, err := l.ask(ctx, "--showstates")
	if err != nil {
		return nil, err
	}
	s, err := parseStates(out)
	if err != nil {
		return nil, fmt.Errorf("%v says of its states: %w", l, err)
	}
	return s, nil
}

// emptied lists the owners of those of the Child SAs' IKE SAs that are still there with no Child SA in them. What has another Child SA is not one of them: whack
// takes it down with the IKE SA. Nor is one of many instances, which it takes down with the others.
func (s *plutoStates) emptied(old []ChildSA) (owners []string) {
	for i := range old {
		ike := old[i].IKE
		name, there := s.owner[ike]
		if !there || s.used[ike] || nameOf(name) != name || slices.Contains(owners, name) {
			continue
		}
		if !slices.ContainsFunc(s.children, func(c ChildSA) bool { return nameOf(c.Connection) == name }) {
			owners = append(owners, name)
		}
	}
	return owners
}

var (
	// #2: "site":500 ESTABLISHED_CHILD_SA (established Child SA); REKEY in 27898s; REPLACE in 28799s; newest; eroute owner; IKE SA #1; idle;
	stateLine = regexp.MustCompile(`^#(\d+): ("[^"]+"(?:\[\d+\])?)(?: [0-9a-f]*[.:][0-9a-f.:]*)?(?::\d+)?(?:\([^)]*\))? ([A-Z][A-Z0-9_]+) \([^)]*\);(.*)$`)
	// #2: "site" esp.a1da67d7@203.0.113.1 esp.7ee0b1b3@192.0.2.1 tun.0@203.0.113.1 tun.0@192.0.2.1 Traffic: ...
	spisLine = regexp.MustCompile(`^#(\d+): ("[^"]+"(?:\[\d+\])?)(?: [0-9a-f]*[.:][0-9a-f.:]*)?((?: (?:esp|ah|comp|ipcomp|tun)\.[0-9a-f]+@[^ ]+)+)`)
	// #3: pending Child SA for "site-b"
	pendingLine = regexp.MustCompile(`^#(\d+): pending Child SA for "`)

	said    = regexp.MustCompile(` (esp|ah|comp|ipcomp|tun)\.([0-9a-f]+)@([^ ]+)`)
	ikeSAOf = regexp.MustCompile(` IKE SA #(\d+);`)
)

// parseStates reads what `whack --showstates` prints: a line for each state, and for each Child SA a second one with its SPIs, the outbound one of each
// kind first.
func parseStates(out string) (*plutoStates, error) {
	s := &plutoStates{owner: make(map[string]string), used: make(map[string]bool)}
	up, ikes := make(map[string]bool), make(map[string]string)
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, " \n")
		if m := stateLine.FindStringSubmatch(line); m != nil {
			s.owner[m[1]] = unquote(m[2])
			up[m[1]] = m[3] == "ESTABLISHED_CHILD_SA"
			if ike := ikeSAOf.FindStringSubmatch(m[4]); ike != nil {
				ikes[m[1]] = ike[1]
				s.used[ike[1]] = true
			}
			continue
		}
		if m := pendingLine.FindStringSubmatch(line); m != nil {
			s.used[m[1]] = true
			continue
		}
		m := spisLine.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "#") {
				return nil, fmt.Errorf("a line that is not understood: %q", line[:min(len(line), 200)])
			}
			continue // lines between states, for bare shunts
		}
		c := ChildSA{Connection: unquote(m[2]), ID: m[1], IKE: ikes[m[1]], Up: up[m[1]]}
		if err := c.readSPIs(m[3]); err != nil {
			return nil, fmt.Errorf("%w: %q", err, line[:min(len(line), 200)])
		}
		if c.Proto != 0 {
			s.children = append(s.children, c)
		}
	}
	return s, nil
}

// readSPIs reads " esp.a1da67d7@203.0.113.1 esp.7ee0b1b3@192.0.2.1 tun.0@...": to whom, then from whom.
func (c *ChildSA) readSPIs(s string) error {
	seen := make(map[string]int)
	for _, m := range said.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			return fmt.Errorf("SPI %s: %w", m[2], err)
		}
		kind, inbound := m[1], seen[m[1]] == 1
		seen[m[1]]++
		if seen[kind] > 2 {
			return fmt.Errorf("more than two SPIs of %s", kind)
		}
		switch kind {
		case "esp", "ah":
			a, err := netip.ParseAddr(m[3])
			if err != nil {
				return err
			}
			c.Proto = map[string]xfrm.Proto{"esp": xfrm.ProtoESP, "ah": xfrm.ProtoAH}[kind]
			if inbound {
				c.In, c.Local = xfrm.SPI(n), a
			} else {
				c.Out, c.Remote = xfrm.SPI(n), a
			}
		case "comp", "ipcomp":
			if inbound {
				c.InCPI = xfrm.SPI(n)
			} else {
				c.OutCPI = xfrm.SPI(n)
			}
		}
	}
	return nil
}

// unquote takes the quotes off a connection's name and keeps the number of an instance: "road"[2] is road[2].
func unquote(s string) string { return strings.ReplaceAll(s, `"`, "") }
