package executor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// transactions of the bench's plan, as a journal would give them back.
func (b *bench) transactions() (all []executor.Transaction) {
	for i := range b.plan.Groups {
		all = append(all, executor.NewTransaction(&b.plan.Groups[i]))
	}
	return all
}

// moved is a bench whose run is over.
func moved(t *testing.T, n int) *bench {
	t.Helper()
	b := newBench(t, n, nil)
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) out(i int, spi xfrm.SPI) xfrm.SAID {
	id := b.tunnels[i].Out.ID
	if spi != 0 {
		id.SPI = spi
	}
	return id
}

func (b *bench) in(i int) xfrm.SAID {
	id := b.tunnels[i].In.ID
	id.Dst = b.plan.Groups[0].Calls[0].Migration.NewDst
	for _, c := range b.plan.Groups[i].Calls {
		if c.Dir == xfrm.SADirIn {
			id.Dst = c.Migration.NewDst
		}
	}
	return id
}

// TestRollbackLongAfterwards undoes a run when much has happened since.
func TestRollbackLongAfterwards(t *testing.T) {
	for _, tt := range []struct {
		name    string
		since   func(b *bench) error
		outcome string
		at      string // where the tunnel's SAs are afterwards
		says    string
	}{
		{name: "nothing", since: func(*bench) error { return nil }, outcome: "undone", at: "192.0.2.1"},
		{
			name: "both SAs re-keyed",
			since: func(b *bench) error {
				return errors.Join(b.k.Rekey(b.out(0, 0), xfrm.Mark{}, 0x7001, true), b.k.Rekey(b.in(0), xfrm.Mark{}, 0x7002, true))
			},
			outcome: "undone", at: "192.0.2.1", says: "came with a re-key",
		},
		{
			name: "re-keyed twice",
			since: func(b *bench) error {
				return errors.Join(b.k.Rekey(b.out(0, 0), xfrm.Mark{}, 0x7001, true), b.k.Rekey(b.out(0, 0x7001), xfrm.Mark{}, 0x7003, true))
			},
			outcome: "undone", at: "192.0.2.1", says: "came with a re-key",
		},
		{
			name: "closed down by its owner",
			since: func(b *bench) error {
				return errors.Join(b.k.DeleteSA(b.out(0, 0), xfrm.Mark{}), b.k.DeleteSA(b.in(0), xfrm.Mark{}), b.k.FlushPolicies())
			},
			outcome: "untouched", at: "", says: "deleted by its owner",
		},
		{
			name:    "an SA lost",
			since:   func(b *bench) error { return b.k.DeleteSA(b.out(0, 0), xfrm.Mark{}) },
			outcome: "blocked", at: "192.0.2.1", says: "is gone",
		},
		{
			name: "a policy rewritten by its owner",
			since: func(b *bench) error {
				p := b.tunnels[0].Policies[0]
				p.Flags = 1
				return b.k.RewritePolicy(p)
			},
			outcome: "undone", at: "192.0.2.1", says: "left as they want it",
		},
		{
			name: "a policy rewritten to let everything through",
			since: func(b *bench) error {
				p := b.tunnels[0].Policies[0]
				p.Templates = nil
				return b.k.RewritePolicy(p)
			},
			outcome: "undone", at: "192.0.2.1", says: "left as they want it",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := moved(t, 1)
			if err := tt.since(b); err != nil {
				t.Fatal(err)
			}
			r, err := executor.Finish(t.Context(), b.transactions(), executor.Undone, b.cfg)
			if b.outcomes(r) != tt.outcome || b.at(0) != tt.at {
				t.Errorf("%s at %q, %v; want %s at %q", b.outcomes(r), b.at(0), err, tt.outcome, tt.at)
			}
			if (err != nil) != (r.Unsettled() != 0) || (b.tagged() != 0) != (r.Unsettled() != 0) {
				t.Errorf("%s: error %v, %d tagged policies", b.outcomes(r), err, b.tagged())
			}
			if all := strings.Join(r.Groups[0].Problems, "\n"); !strings.Contains(all, tt.says) {
				t.Errorf("problems %q; want %q", all, tt.says)
			}
			before := describe(b.k)
			if _, err2 := executor.Finish(t.Context(), b.transactions(), executor.Undone, b.cfg); (err == nil) != (err2 == nil) || describe(b.k) != before {
				t.Errorf("again: %v, and\n%s\nis now\n%s", err2, before, describe(b.k))
			}
		})
	}
}

// TestRollbackDuringARekey finds both Child SAs, the old one and its successor, and moves them all.
func TestRollbackDuringARekey(t *testing.T) {
	b := moved(t, 1)
	if err := b.k.Rekey(b.out(0, 0), xfrm.Mark{}, 0x7001, false); err != nil {
		t.Fatal(err)
	}
	r, err := executor.Finish(t.Context(), b.transactions(), executor.Undone, b.cfg)
	if err != nil || b.outcomes(r) != "undone" || b.at(0) != "192.0.2.1" {
		t.Errorf("%s at %s, %v", b.outcomes(r), b.at(0), err)
	}
}

func TestFinishUndoesTheLastGroupFirst(t *testing.T) {
	b := moved(t, 3)
	b.events = nil
	if _, err := executor.Finish(t.Context(), b.transactions(), executor.Undone, b.cfg); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range b.events {
		order = append(order, e.Group)
	}
	if len(order) != 3 || order[0] != b.plan.Groups[2].Name || order[2] != b.plan.Groups[0].Name {
		t.Errorf("order %q", order)
	}
}

// TestOrphansOverWhatIsWholeGo has blocks that no journal tells of: one over a policy that protects, one that stands alone.
func TestOrphansOverWhatIsWholeGo(t *testing.T) {
	b := newBench(t, 1, nil)
	over, alone := b.tunnels[0].Policies[0], b.tunnels[0].Policies[0]
	alone.Sel.Dst[1] = 99
	for _, p := range []xfrm.Policy{over, alone} {
		p.Sel = p.Sel.Tagged(xfrm.Tag)
		p.Action, p.Templates, p.Priority = xfrm.Block, nil, 1
		if err := b.k.RewritePolicy(p); err != nil {
			t.Fatal(err)
		}
	}
	n, err := executor.Orphans(b.cfg.Conn)
	if n != 1 || err == nil || !strings.Contains(err.Error(), "covers nothing") || b.tagged() != 1 {
		t.Errorf("%d removed, %v, %d left; want the one over nothing to stay and to be named", n, err, b.tagged())
	}
	if v := b.k.Snapshot().Outbound(xfrmtest.Example(&over.Sel)); v.Fate != xfrmtest.Protected {
		t.Errorf("traffic is %v", v)
	}
}
