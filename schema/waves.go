package schema

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// longestPause is a day, as for confirm: a longer one belongs into two plans.
const longestPause = 24 * time.Hour

var waveFields = fields[plan.WaveSpec]{
	"name":  func(l *loader, n *yaml.Node, w *plan.WaveSpec) { w.Name = l.label(n) },
	"size":  func(l *loader, n *yaml.Node, w *plan.WaveSpec) { l.waveSize(n, w) },
	"pause": func(l *loader, n *yaml.Node, w *plan.WaveSpec) { w.Pause = l.duration(n, 0, longestPause) },
}

func (l *loader) waveSize(n *yaml.Node, w *plan.WaveSpec) {
	if classify(n) == kindNumber {
		w.Count = int(whole(n))
		return
	}
	digits, percent := strings.CutSuffix(n.Value, "%")
	p, err := strconv.Atoi(digits)
	switch {
	case !percent || err != nil || !wholeNumber.MatchString(digits):
		hint := "write a number of groups, or a whole percentage such as 25%"
		if wholeNumber.MatchString(n.Value) {
			hint = fmt.Sprintf("write %s for so many groups, without quotes, or %s%% for a percentage", n.Value, n.Value)
		}
		l.refuse(n, badSize, "not the size of a wave", hint)
	case p < 1 || p > 100:
		l.refuse(n, badSize, "a percentage out of range", "write 1% to 100%")
	default:
		w.Percent = p
	}
}

// waves decodes the list and checks that it takes every group. Percentages are of all groups, so those of a list add
// up; a wave of 100% takes all that remain.
func (l *loader) waves(n *yaml.Node) []plan.WaveSpec {
	var out []plan.WaveSpec
	names := map[string]int{}
	total, complete, rest := 0, true, 0
	for i, entry := range n.Content {
		if l.bad[entry] {
			complete = false
			continue
		}
		w := plan.WaveSpec{Name: fmt.Sprintf("wave-%d", i+1)}
		decode(l, entry, waveFields, &w)
		at := l.good(entry, "name")
		if at == nil {
			at = entry
		}
		if line, taken := names[w.Name]; taken && w.Name != "" {
			l.note(at, duplicateName, "a wave named "+w.Name+" is there already", fmt.Sprintf("choose another name; the first is on line %d", line))
		}
		names[w.Name] = entry.Line
		size := l.good(entry, "size")
		switch {
		case size == nil:
			complete = false
		case rest > 0:
			l.refuse(size, wavesOverfull, fmt.Sprintf("nothing is left for this wave: the one on line %d takes all that remain", rest),
				"move the wave of 100% to the end")
			complete = false
		case w.Percent == 100:
			rest = size.Line
		case total+w.Percent > 100:
			l.refuse(size, wavesOverfull, fmt.Sprintf("with this wave they add up to %d%% of all groups", total+w.Percent),
				"write 100% for all that remain")
			complete = false
		}
		total += w.Percent
		out = append(out, w)
	}
	if complete && total < 100 && len(n.Content) > 0 {
		last := n.Content[len(n.Content)-1]
		l.note(child(last, "size"), groupsLeftOver, "groups may be left over after the last wave",
			"write size: 100% for all that remain, or add such a wave")
	}
	return out
}
