package rollback_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/section"
)

var faultGroups = flag.Int("faultgroups", 0, "how many groups TestEveryFaultInManyGroups has; make soak has 100, a quarter of an hour")

// TestEveryFaultInManyGroups puts every fault at every point of a run of so many groups, where TestFaultMatrix takes some of a hundred.
func TestEveryFaultInManyGroups(t *testing.T) {
	if *faultGroups == 0 {
		t.Skip("-faultgroups says how many groups")
	}
	shapes := inTurn(*faultGroups)
	points, cells := len(faultless(t, shapes...)), singles(t, shapes...)
	t.Logf("%d cells", len(cells))
	ta := new(tally)
	each(t, ta, func(c cell) string { return fmt.Sprintf("%d tunnels\t%s", len(shapes), kind(c.first)) }, cells)
	text := fmt.Sprintf("%d points in a run of %d groups:\n\n%s", points, len(shapes), ta)
	t.Log(text)
	publish(t, "soak.md", section.Section{Name: "matrix", Text: text})
}

// inTurn is n tunnels, every second of which is switched in place.
func inTurn(n int) []shape {
	all := make([]shape, n)
	for i := range all {
		all[i] = shapes[i%2]
	}
	return all
}
