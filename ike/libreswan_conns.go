package ike

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// plutoConn is a connection that pluto has loaded.
type plutoConn struct {
	name          string
	local, remote netip.Addr // not valid where the connection takes any
	localTS       []string
	remoteTS      []string
	mode          xfrm.Mode
	initiates     bool // somebody told pluto to bring it up, and pluto keeps it so
	overlaps      bool // overlapip=yes: another connection may have the same subnets
}

// describe adds what states don't tell.
func (c *plutoConn) describe(sa *ChildSA) {
	sa.Mode, sa.LocalTS, sa.RemoteTS, sa.Initiator = c.mode, c.localTS, c.remoteTS, c.initiates
}

// conns lists all connections by name.
func (l *Libreswan) conns(ctx context.Context) (map[string]*plutoConn, error) {
	out, err := l.ask(ctx, "--connectionstatus")
	if err != nil {
		return nil, err
	}
	all, err := parseConns(out)
	if err != nil {
		return nil, fmt.Errorf("%v says of its connections: %w", l, err)
	}
	return all, nil
}

var (
	// "site": 10.1.0.0/24===192.0.2.1[@left]...203.0.113.1[@right]===10.2.0.0/24; routed-tunnel; my_ip=unset; their_ip=unset;
	connLine = regexp.MustCompile(`^("[^"]+"(?:\[\d+\])?)(?: [^ ]+)?: ([^ ].*?); [^;]+; my_ip=`)
	// "site":   host: oriented; local: 192.0.2.1; remote: 203.0.113.1; established IKE SA: #1;
	// "site":   policy: IKEv2+PSK+ENCRYPT+TUNNEL+PFS+UP+IKE_FRAG_ALLOW+ESN_NO+ESN_YES;
	detailLine = regexp.MustCompile(`^("[^"]+"(?:\[\d+\])?)(?: [^ ]+)?:   (host|policy): (.*)$`)
	hosts      = regexp.MustCompile(`local: ([^;]+); remote: ([^;]+);`)
)

// parseConns reads what `whack --connectionstatus` prints: a line with both ends for each pair of subnets, then one line for each aspect.
func parseConns(out string) (map[string]*plutoConn, error) {
	all := make(map[string]*plutoConn)
	get := func(quoted string) *plutoConn {
		name := unquote(quoted)
		if all[name] == nil {
			all[name] = &plutoConn{name: name, mode: xfrm.ModeTransport}
		}
		return all[name]
	}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, " \n")
		if m := connLine.FindStringSubmatch(line); m != nil {
			ours, theirs, ok := strings.Cut(m[2], "...")
			if !ok {
				return nil, fmt.Errorf("a line that is not understood: %q", line[:min(len(line), 200)])
			}
			c := get(m[1])
			// The network is outermost on either side; where there is none, it is the host itself.
			if net, _, ok := strings.Cut(ours, "==="); ok {
				c.localTS = addSorted(c.localTS, net)
			}
			if at := strings.LastIndex(theirs, "==="); at >= 0 {
				c.remoteTS = addSorted(c.remoteTS, theirs[at+3:])
			}
			continue
		}
		m := detailLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch c := get(m[1]); m[2] {
		case "host":
			if h := hosts.FindStringSubmatch(m[3]); h != nil {
				c.local, _ = netip.ParseAddr(h[1]) // %any and names stay the zero Addr
				c.remote, _ = netip.ParseAddr(h[2])
			}
		case "policy":
			words := strings.Split(strings.TrimSuffix(m[3], ";"), "+")
			if slices.Contains(words, "TUNNEL") {
				c.mode = xfrm.ModeTunnel
			}
			c.initiates, c.overlaps = slices.Contains(words, "UP"), slices.Contains(words, "OVERLAPIP")
		}
	}
	return all, nil
}

func addSorted(all []string, s string) []string {
	if slices.Contains(all, s) {
		return all
	}
	return slices.Sorted(slices.Values(append(all, s)))
}

// successor picks the connection that Establish brings up: between the new addresses, with the same networks and mode. It is another one than the old one
// but where a lost Child SA is set up again at the addresses that it had.
func (l *Libreswan) successor(ctx context.Context, m *Move) (*plutoConn, error) {
	all, err := l.conns(ctx)
	if err != nil {
		return nil, err
	}
	return l.pick(all, m)
}

// pick picks it of those that are loaded.
func (l *Libreswan) pick(all map[string]*plutoConn, m *Move) (*plutoConn, error) {
	if len(m.Old) == 0 {
		return nil, fmt.Errorf("%v: group %s has no Child SA of its", l, m.Group)
	}
	old := m.Old[0]
	if name := nameOf(old.Connection); name != old.Connection {
		return nil, fmt.Errorf("%v has %s as one of many from %s: to take that down would take them all down", l, old.Connection, name)
	}
	want := plutoConn{mode: old.Mode, localTS: old.LocalTS, remoteTS: old.RemoteTS}
	if c := all[old.Connection]; c != nil {
		want = *c
	}
	fitting := between(all, m.Local, m.Remote, &want)
	switch len(fitting) {
	case 1:
		if !want.overlaps || !all[fitting[0]].overlaps {
			// Without it pluto refuses the second connection only when it has replaced the first one's policies by one that stops its traffic.
			return nil, fmt.Errorf("%v does not let %s and %s have the same subnets: write overlapip=yes in both, on both gateways, and load them before they come up",
				l, old.Connection, fitting[0])
		}
		return all[fitting[0]], nil
	case 0:
		return nil, fmt.Errorf("%v has no connection from %v to %v for what %s carries: add one of another name beside it, with the same subnets (ipsec add NAME)",
			l, m.Local, m.Remote, old.Connection)
	}
	return nil, fmt.Errorf("%v has several connections from %v to %v for what %s carries, and nothing tells which: %s; delete all but one (ipsec delete NAME)",
		l, m.Local, m.Remote, old.Connection, strings.Join(fitting, ", "))
}

// between lists the connections that carry what another one does, between some addresses.
func between(all map[string]*plutoConn, local, remote netip.Addr, what *plutoConn) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if c := all[name]; c.local == local && c.remote == remote && c.mode == what.mode &&
			slices.Equal(c.localTS, what.localTS) && slices.Equal(c.remoteTS, what.remoteTS) {
			names = append(names, name)
		}
	}
	return names
}
