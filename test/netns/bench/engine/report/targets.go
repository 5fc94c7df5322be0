package main

import (
	"fmt"
	"io"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// targets says which of the project's aims for apply are met. A ratio of sizes that were not measured is left out.
func targets(w io.Writer, b *result.Boot) {
	header(w, "Targets", "what", "target", "measured", "met")
	atMost := func(what string, got, target float64) {
		row(w, what, fmt.Sprintf("at most %.4g", target), fmt.Sprintf("%.2f", got), yesNo(got <= target))
	}
	for i := range b.Ways {
		m := &b.Ways[i]
		floor := b.Find(result.Floor, m.Kind, m.N)
		if m.Way != result.Apply || m.N < 1000 || floor == nil {
			continue
		}
		at := fmt.Sprintf("%s, N = %s: ", m.Kind, thousands(m.N))
		atMost(at+"time ÷ floor", float64(m.Took)/float64(floor.Took), 1.25)
		atMost(at+"interruption p99 ÷ floor's", float64(m.Interrupted.P99)/float64(floor.Interrupted.P99), 2)
	}
	if few, many := b.Find(result.Apply, result.PolicyBased, 200), b.Find(result.Apply, result.PolicyBased, 20000); few != nil && many != nil {
		atMost("policy-based: one Child SA at N = 20,000 ÷ at 200", float64(many.Each())/float64(few.Each()), 1.2)
	}
	if old, apply := b.Find(result.InPlace, result.PolicyBased, 10000), b.Find(result.Apply, result.PolicyBased, 10000); old != nil && apply != nil {
		got := float64(old.Each()) / float64(apply.Each())
		row(w, "policy-based, N = 10,000: in place ÷ apply", "at least 10", fmt.Sprintf("%.1f", got), yesNo(got >= 10))
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "**no**"
}
