//go:build lab

package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

// noJournal is for runs that no test interrupts.
type noJournal struct{}

func (noJournal) Intend([]executor.Transaction) error { return nil }
func (noJournal) Settled(string, executor.Outcome)    {}

// document renumbers pairs of prefixes.
func document(pairs ...string) *plan.Document {
	d := &plan.Document{
		Metadata: plan.Metadata{Name: "lab"},
		Waves:    []plan.WaveSpec{{Name: "first", Count: 1}, {Name: "rest", Percent: 100}},
	}
	for i := 0; i < len(pairs); i += 2 {
		d.Renumber = append(d.Renumber, plan.Renumber{From: netip.MustParsePrefix(pairs[i]), To: netip.MustParsePrefix(pairs[i+1])})
	}
	return d
}

// reversed goes back.
func reversed(d *plan.Document) *plan.Document {
	r := *d
	r.Renumber = nil
	for _, m := range d.Renumber {
		r.Renumber = append(r.Renumber, plan.Renumber{From: m.To, To: m.From})
	}
	return &r
}

// apply computes and applies, and fails unless every group is done.
func (n *netns) apply(d *plan.Document) *plan.Plan {
	n.t.Helper()
	p := plan.Compute(d, n.inventory())
	if len(p.Refusals) != 0 {
		n.t.Fatalf("refused: %v", p.Refusals)
	}
	report, err := executor.Run(context.Background(), p, executor.Config{
		Conn: n.conn, Journal: noJournal{}, Emit: func(executor.Event) {}, Run: n.t.Name(), OnError: plan.OnErrorStop,
	})
	if err != nil || report.Count(executor.Done) != len(p.Groups) {
		n.t.Fatalf("%v\n%+v", err, report)
	}
	return p
}

// meaning lists what SAD and SPD hold, without what passes with time and without the order of things.
func (n *netns) meaning() string {
	n.t.Helper()
	inv := n.inventory()
	var lines []string
	for i := range inv.SAs {
		sa := &inv.SAs[i]
		lines = append(lines, fmt.Sprintf("%v from %v reqid %d mode %v mark %v set-mark %v if_id %d sel %v cpu %d encap %v larval %v",
			sa.ID, sa.SrcIP(), sa.Reqid, sa.Mode, sa.Mark, sa.OutputMark, sa.IfID, sa.Sel, sa.CPU, sa.Encap, sa.Larval()))
	}
	for i := range inv.Policies {
		p := &inv.Policies[i]
		lines = append(lines, fmt.Sprintf("%v %v user %d priority %d action %v mark %v if_id %d type %d limits %v: %v",
			p.Dir, p.Sel, p.Sel.User, p.Priority, p.Action, p.Mark, p.IfID, p.Type, p.Limits, p.Templates))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// thereAndBack applies the plan, looks whether nothing is left to do, and applies the reverse, which has to restore
// what was.
func (n *netns) thereAndBack(d *plan.Document) {
	n.t.Helper()
	before := n.meaning()
	n.apply(d)
	if again := plan.Compute(d, n.inventory()); !again.Empty() {
		n.t.Errorf("applied, and still to do: %+v", again)
	}
	if n.meaning() == before {
		n.t.Error("nothing has changed")
	}
	n.apply(reversed(d))
	if after := n.meaning(); after != before {
		n.t.Errorf("there and back is not where it was\n--- before\n%s\n--- after\n%s", before, after)
	}
}

// refused are the set-ups that ispSwap is refused for.
var refused = []string{"manual-ambiguous-mark", "manual-transport-hosts"}

func TestApplyManual(t *testing.T) {
	for _, m := range manual {
		if slices.Contains(refused, m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			n := newNetNS(t)
			n.ip(keys.Replace(m.script))
			if strings.HasPrefix(m.name, "manual-per-cpu") {
				n.perCPU()
			}
			n.thereAndBack(document("192.0.2.0/24", "198.51.100.0/24"))
		})
	}
}

func TestApplyHostToHost(t *testing.T) {
	v4, v6 := []string{"192.0.2.0/24", "198.51.100.0/24"}, []string{"192.0.2.1/32", "2001:db8:20::1/128", "203.0.113.1/32", "2001:db8:30::1/128"}
	for _, tc := range []struct {
		name  string
		pairs []string
		made  string // what is made of the set-up
	}{
		{"IPv4", v4, "xfrm"},
		{"to IPv6", v6, "xfrm"},
		{"IPv4, policies alone", v4, "xfrm policy"},
		{"to IPv6, policies alone", v6, "xfrm policy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNetNS(t)
			for _, m := range manual {
				for line := range strings.Lines(m.script) {
					if m.name == "manual-transport-hosts" && strings.HasPrefix(strings.TrimSpace(line), tc.made) {
						n.ip(keys.Replace(line))
					}
				}
			}
			doc := document(tc.pairs...)
			doc.Overrides = []plan.Override{{Set: plan.Changes{Selector: &plan.SelectorChange{Kind: plan.SelectorHostToHost}}}}
			n.thereAndBack(doc)
		})
	}
}

// TestIPCompHelpersFollow: the kernel keeps an SA of protocol 4 (IP in IP) for each IPComp tunnel, for packets too
// small to be compressed. Nobody moves it: a new one comes with the moved SA, and the old one goes.
func TestIPCompHelpersFollow(t *testing.T) {
	for _, tc := range []struct {
		name string
		doc  *plan.Document
		want []string
	}{
		{"IPv4", document("192.0.2.1/32", "198.51.100.1/32"), []string{"203.0.113.1 > 198.51.100.1", "198.51.100.1 > 203.0.113.1"}},
		{"to IPv6", document("192.0.2.1/32", "2001:db8:20::1/128", "203.0.113.1/32", "2001:db8:30::1/128"),
			[]string{"2001:db8:30::1 > 2001:db8:20::1", "2001:db8:20::1 > 2001:db8:30::1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNetNS(t)
			for _, m := range manual {
				if m.name == "manual-ipcomp" {
					n.ip(keys.Replace(m.script))
				}
			}
			n.apply(tc.doc)
			var got []string
			sas, err := n.conn.SAs()
			if err != nil {
				t.Fatal(err)
			}
			for i := range sas {
				if sas[i].ID.Proto == 4 || sas[i].ID.Proto == 41 {
					got = append(got, fmt.Sprintf("%v > %v", sas[i].SrcIP(), sas[i].DstIP()))
				}
			}
			slices.Sort(got)
			slices.Sort(tc.want)
			if !slices.Equal(got, tc.want) {
				t.Errorf("helpers: got %q, want %q\n%s", got, tc.want, n.meaning())
			}
		})
	}
}
