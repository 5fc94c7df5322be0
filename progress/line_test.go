package progress

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestLineFitsAnyWidth(t *testing.T) {
	for _, f := range []figures{
		{total: 20000, done: 12345, undone: 17, skipped: 3, stuck: 2, blocked: 4, longest: 350 * time.Microsecond, left: time.Hour, known: true},
		{total: 1}, {},
		{total: 3, done: 3, longest: time.Second, known: true},
		{total: 3, done: 4, undone: 2, known: true}, {total: 3, done: 2, undone: 2, known: true},
	} {
		for width := range 200 {
			if got := f.line(width, false); utf8.RuneCountInString(got) > width || !utf8.ValidString(got) {
				t.Errorf("width %d: %q", width, got)
			}
		}
	}
}

func TestLineKeepsWhatMattersMost(t *testing.T) {
	f := figures{total: 1000, done: 340, stuck: 2, blocked: 3, longest: 24140 * time.Microsecond, left: 12 * time.Second, known: true}
	got := map[int]string{}
	for _, width := range []int{140, 90, 75, 60, 45, 30, 10, 4} {
		got[width] = f.line(width, false)
	}
	want := map[int]string{
		140: "[##########....................]  340 of 1000 groups done  2 NOT SETTLED  blocked now 3  longest 24.14ms  ETA 12s",
		90:  "340 of 1000 groups done  2 NOT SETTLED  blocked now 3  longest 24.14ms  ETA 12s",
		75:  "340 of 1000 groups done  2 NOT SETTLED  blocked now 3  longest 24.14ms",
		60:  "340 of 1000 groups done  2 NOT SETTLED  blocked now 3",
		45:  "340 of 1000 groups done  2 NOT SETTLED",
		30:  "340 of 1000 groups done",
		10:  "340/1000",
		4:   "340/",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
