package executor_test

import (
	"fmt"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestPoliciesOfSmallBinsAreReplacedInPlace pins what a Child SA with two outbound policies and four others costs in
// changing messages: a walk over a small bin is cheaper than the messages that it saves, one over a large bin is not.
func TestPoliciesOfSmallBinsAreReplacedInPlace(t *testing.T) {
	for _, tt := range []struct {
		name    string
		tunnels int
		count   bool
		want    string
	}{
		{"nobody has counted", 2, false, "NEW 12, UPD 0, DEL 12, MIGRATE 2"},
		{"small", 64, true, "NEW 2, UPD 6, DEL 2, MIGRATE 2"},
		{"large", 65, true, "NEW 12, UPD 0, DEL 12, MIGRATE 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := make(map[uint16]int)
			b := newBench(t, tt.tunnels, func(at xfrmtest.At) xfrmtest.Effect {
				if at.Point == xfrmtest.BeforeSend {
					for _, m := range at.Messages {
						sent[m.Type]++
					}
				}
				return xfrmtest.Effect{}
			})
			if tt.count {
				policies, err := b.k.Dial().Policies()
				if err != nil {
					t.Fatal(err)
				}
				b.cfg.Bins = executor.BinsOf(policies)
			}
			r, err := executor.Run(t.Context(), b.plan, b.cfg)
			if err != nil || r.Count(executor.Done) != tt.tunnels || b.tagged() != 0 {
				t.Fatalf("%v, %s, %d tagged", err, b.outcomes(r), b.tagged())
			}
			n := func(typ uint16) int { return sent[typ] / tt.tunnels }
			got := fmt.Sprintf("NEW %d, UPD %d, DEL %d, MIGRATE %d", n(xfrm.MsgNewPolicy), n(xfrm.MsgUpdPolicy), n(xfrm.MsgDelPolicy), n(xfrm.MsgMigrateState))
			if got != tt.want {
				t.Errorf("messages for each: %s, want %s", got, tt.want)
			}
		})
	}
}

// TestIndexesOfCoversAreUsedAgain: that they are free was read at the end of the group before, so that it is asked once
// in a wave.
func TestIndexesOfCoversAreUsedAgain(t *testing.T) {
	indexes, reads := make(map[uint32]int), 0
	b := newBench(t, 3, func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point != xfrmtest.BeforeSend {
			return xfrmtest.Effect{}
		}
		for _, m := range at.Messages {
			switch m.Type {
			case xfrm.MsgNewPolicy:
				if p, err := xfrm.DecodePolicy(m.Payload); err == nil && p.Tagged() {
					indexes[p.Index]++
				}
			case xfrm.MsgGetPolicy:
				reads++
			}
		}
		return xfrmtest.Effect{}
	}, plan.WaveSpec{Name: "canary", Count: 1}, plan.WaveSpec{Name: "rest", Percent: 100})
	if _, err := executor.Run(t.Context(), b.plan, b.cfg); err != nil {
		t.Fatal(err)
	}
	const policies, waves, groups = 6, 2, 3
	if len(indexes) != waves*policies {
		t.Errorf("indexes and how often they were named: %v; want %d in each of %d waves", indexes, policies, waves)
	}
	if want := groups*3*policies + waves*policies; reads != want { // before, after, covers after; covers before
		t.Errorf("%d policies were read, want %d", reads, want)
	}
}
