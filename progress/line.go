package progress

import (
	"fmt"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/review"
)

// figures are what the bar shows of all lanes.
type figures struct {
	total, done, undone, skipped, stuck, blocked, notFollowed int

	longest time.Duration
	left    time.Duration
	known   bool // left is
	undoing bool
	pausing bool
}

func sum(lanes []*Lane, now time.Time) figures {
	f := figures{known: true}
	for _, l := range lanes {
		f.total += l.total
		f.done += l.count[executor.GroupDone]
		f.undone += l.count[executor.GroupUndone]
		f.skipped += l.count[executor.GroupSkipped]
		f.stuck += l.count[executor.GroupStuck] + l.count[executor.GroupUnknown]
		f.notFollowed += l.count[executor.GroupNotFollowed]
		f.blocked += l.blocked()
		f.longest = max(f.longest, l.longest)
		f.undoing = f.undoing || l.undoing
		f.pausing = f.pausing || !l.pauseEnd.IsZero()
		left, known := l.left(now)
		f.left, f.known = max(f.left, left), f.known && known
	}
	return f
}

// Widths of the bar itself: below the least it shows nothing, above the most it says no more.
const (
	leastBar = 10
	mostBar  = 30
)

// line makes one line of at most width columns, which are never more than bytes. Where there is little room the bar goes
// first, then what matters least.
func (f *figures) line(width int, paint Paint) string {
	counts := fmt.Sprintf("%d of %d groups done", f.done, f.total)
	var trouble []string
	for _, t := range []struct {
		n    int
		what string
	}{{f.stuck, "NOT SETTLED"}, {f.notFollowed, "NOT FOLLOWED"}, {f.undone, "undone"}, {f.skipped, "not touched"}} {
		if t.n != 0 {
			trouble = append(trouble, fmt.Sprintf("%d %s", t.n, t.what))
		}
	}
	fields := []string{counts}
	if len(trouble) != 0 {
		fields = append(fields, strings.Join(trouble, ", "))
	}
	fields = append(fields, fmt.Sprintf("blocked now %d", f.blocked))
	if f.longest > 0 {
		fields = append(fields, "longest "+review.Duration(f.longest))
	}
	fields = append(fields, f.eta())

	text := strings.Join(fields, "  ")
	if room := width - len(text) - len("[]  "); room >= leastBar {
		return f.bar(min(room, mostBar), paint) + "  " + text
	}
	for len(text) > width && len(fields) > 1 {
		fields = fields[:len(fields)-1]
		text = strings.Join(fields, "  ")
	}
	if len(text) > width {
		text = fmt.Sprintf("%d/%d", f.done, f.total)
	}
	return text[:min(len(text), max(0, width))]
}

func (f *figures) eta() string {
	what := "ETA"
	switch {
	case f.undoing:
		what = "undoing, ETA"
	case f.pausing:
		what = "pause, ETA"
	}
	if !f.known {
		return what + " ?"
	}
	return what + " " + f.left.Round(time.Second).String()
}

// bar is as long as the groups that are through: those at the new addresses, then those that ended otherwise. It is
// full at most: whatever the counts are, a run is not to end over how it is shown.
func (f *figures) bar(cells int, paint Paint) string {
	total := max(1, f.total)
	done := min(cells, cells*f.done/total)
	other := min(cells, cells*(f.done+f.undone+f.skipped+f.stuck+f.notFollowed)/total) - done
	colour := paint.Yellow
	if f.stuck+f.notFollowed != 0 {
		colour = paint.Red
	}
	return "[" + paint.Green(strings.Repeat("#", done)) + colour(strings.Repeat("-", other)) + strings.Repeat(".", cells-done-other) + "]"
}
