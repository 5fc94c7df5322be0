//go:build lab

package codec

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// renderSA writes an SA the way `ip -s xfrm state` does (iproute2, ip/ipxfrm.c), without what package xfrm does not
// decode: see notDecoded.
func renderSA(sa *xfrm.SA) string {
	var b strings.Builder
	fmt.Fprintf(&b, "src %v dst %v\n", sa.SrcIP(), sa.DstIP())
	fmt.Fprintf(&b, "\tproto %v spi 0x%08x(%d) reqid %d(0x%08x) mode %v\n", sa.ID.Proto, uint32(sa.ID.SPI), sa.ID.SPI, sa.Reqid, sa.Reqid, sa.Mode)
	fmt.Fprintf(&b, "\treplay-window %d flag %s", sa.Window,
		names(uint32(sa.Flags), "noecn", "decap-dscp", "nopmtudisc", "wildrecv", "icmp", "af-unspec", "align4", "esn"))
	if sa.ExtraFlags != 0 {
		fmt.Fprintf(&b, "extra_flag %s", names(sa.ExtraFlags, "dont-encap-dscp", "oseq-may-wrap"))
	}
	fmt.Fprintf(&b, " (0x%08b)\n", sa.Flags)
	var marks []string
	if sa.Mark != (xfrm.Mark{}) {
		marks = append(marks, "mark "+ipMark(sa.Mark))
	}
	if sa.OutputMark != (xfrm.Mark{}) {
		marks = append(marks, "output-mark "+ipMark(sa.OutputMark))
	}
	if marks != nil {
		fmt.Fprintf(&b, "\t%s\n", strings.Join(marks, " "))
	}
	if sa.HasAlgorithm {
		b.WriteString("\tALGORITHM\n")
	}
	if sa.Encap.Type != xfrm.EncapNone {
		fmt.Fprintf(&b, "\tencap type espinudp sport %d dport %d addr %v\n", sa.Encap.SPort, sa.Encap.DPort, sa.Encap.OA.IP(sa.ID.Family))
	}
	if r := sa.Replay; r.ESN {
		fmt.Fprintf(&b, "\tanti-replay esn context:\n\t seq-hi %#x, seq %#x, oseq-hi %#x, oseq %#x\n\t replay_window %d\n",
			r.Received>>32, uint32(r.Received), r.Sent>>32, uint32(r.Sent), r.Window)
	} else {
		fmt.Fprintf(&b, "\tanti-replay context: seq %#x, oseq %#x\n", r.Received, r.Sent)
	}
	if sa.TFCPad != 0 {
		fmt.Fprintf(&b, "\ttfcpad %d\n", sa.TFCPad)
	}
	if sa.IfID != 0 {
		fmt.Fprintf(&b, "\tif_id %#x\n", sa.IfID)
	}
	if sa.CPU != xfrm.AnyCPU {
		fmt.Fprintf(&b, "\tpcpu-num %d\n", sa.CPU)
	}
	if sa.Dir != xfrm.SADirUnset {
		fmt.Fprintf(&b, "\tdir %v\n", sa.Dir)
	}
	if sel := sa.Sel; sa.Flags&afUnspec == 0 {
		if sel.Family == xfrm.FamilyUnspec { // a larval SA's
			sel.Family = sa.ID.Family
		}
		fmt.Fprintf(&b, "\tsel %s\n", renderSelector(&sel))
	}
	b.WriteString(renderLifetime(&sa.Limits, &sa.Current))
	fmt.Fprintf(&b, "\tstats:\n\t  replay-window %d replay %d failed %d\n", sa.Stats.ReplayWindow, sa.Stats.Replay, sa.Stats.IntegrityFailed)
	return b.String()
}

const afUnspec = 32 // XFRM_STATE_AF_UNSPEC: without a selector

// renderPolicy writes a policy the way `ip -s xfrm policy` does.
func renderPolicy(p *xfrm.Policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", renderSelector(&p.Sel))
	ptype := "main"
	if p.Type == xfrm.PolicySub {
		ptype = "sub"
	}
	fmt.Fprintf(&b, "\tdir %v action %v index %d priority %d ptype %s share any flag %s (0x%08b)\n", p.Dir, p.Action, p.Index, p.Priority, ptype,
		names(uint32(p.Flags), "localok", "icmp"), p.Flags)
	b.WriteString(renderLifetime(&p.Limits, &p.Current))
	if p.Mark != (xfrm.Mark{}) {
		fmt.Fprintf(&b, "\tmark %s\n", ipMark(p.Mark))
	}
	for _, t := range p.Templates {
		level := "required"
		if t.Optional != 0 {
			level = "use"
		}
		fmt.Fprintf(&b, "\ttmpl src %v dst %v\n\t\tproto %v spi 0x%08x(%d) reqid %d(0x%08x) mode %v\n\t\tlevel %s share any\n",
			t.SrcIP(), t.DstIP(), t.Proto, uint32(t.SPI), t.SPI, t.Reqid, t.Reqid, t.Mode, level)
		fmt.Fprintf(&b, "\t\tenc-mask %08x auth-mask %08x comp-mask %08x\n", t.EAlgos, t.AAlgos, t.CAlgos)
	}
	if p.IfID != 0 {
		fmt.Fprintf(&b, "\tif_id %#x\n", p.IfID)
	}
	return b.String()
}

func renderSelector(s *xfrm.Selector) string {
	out := fmt.Sprintf("src %v dst %v", s.SrcPrefix(), s.DstPrefix())
	if s.Proto != 0 {
		name := map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 89: "ospf"}[s.Proto]
		out += " proto " + name
	}
	sport, dport := "sport", "dport"
	if s.Proto == 1 || s.Proto == 58 {
		sport, dport = "type", "code"
	}
	if s.SPortMask != 0 {
		out += fmt.Sprintf(" %s %d", sport, s.SPort)
	}
	if s.DPortMask != 0 {
		out += fmt.Sprintf(" %s %d", dport, s.DPort)
	}
	if s.IfIndex == 1 {
		out += " dev lo"
	}
	return fmt.Sprintf("%s uid %d", out, s.User)
}

func renderLifetime(l *xfrm.LifetimeLimits, c *xfrm.Lifetime) string {
	inf := func(v uint64) string {
		if v == xfrm.Unlimited {
			return "(INF)"
		}
		return fmt.Sprint(v)
	}
	when := func(v uint64) string {
		if v == 0 {
			return "-"
		}
		return time.Unix(int64(v), 0).UTC().Format(time.DateTime)
	}
	return fmt.Sprintf("\tlifetime config:\n\t  limit: soft %s(bytes), hard %s(bytes)\n\t  limit: soft %s(packets), hard %s(packets)\n"+
		"\t  expire add: soft %d(sec), hard %d(sec)\n\t  expire use: soft %d(sec), hard %d(sec)\n"+
		"\tlifetime current:\n\t  %d(bytes), %d(packets)\n\t  add %s use %s\n",
		inf(l.SoftBytes), inf(l.HardBytes), inf(l.SoftPackets), inf(l.HardPackets), l.SoftAdd, l.HardAdd, l.SoftUse, l.HardUse,
		c.Bytes, c.Packets, when(c.AddTime), when(c.UseTime))
}

func names(bits uint32, of ...string) string {
	var set []string
	for i, name := range of {
		if bits&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, " ")
}

func ipMark(m xfrm.Mark) string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }

// notDecoded is what ip prints of an SA and package xfrm leaves alone: algorithms and keys, the number of the ACQUIRE, the
// replay bitmap.
var notDecoded = []struct {
	was *regexp.Regexp
	is  string
}{
	{regexp.MustCompile(`(?m)(^\t(aead|auth|auth-trunc|enc|comp) .*\n)+`), "\tALGORITHM\n"},
	{regexp.MustCompile(` seq 0x[0-9a-f]{8} flag`), " flag"},
	{regexp.MustCompile(`, bitmap(-length)? (0x)?[0-9a-f]+`), ""},
	{regexp.MustCompile(`(?m)^\t ([0-9a-f]{8} )+\n`), ""},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// ipObjects splits what ip printed into SAs or policies.
func ipObjects(out string) (objects []string) {
	for _, r := range notDecoded {
		out = r.was.ReplaceAllString(out, r.is)
	}
	for _, line := range strings.SplitAfter(out, "\n") {
		if strings.HasPrefix(line, "src ") {
			objects = append(objects, "")
		}
		if len(objects) != 0 {
			objects[len(objects)-1] += line
		}
	}
	return objects
}
