package progress

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hinshun/vt10x"

	"github.com/xfrm-plan/xfrm-plan/executor"
)

// screen is what a terminal shows after it got the bytes: an emulator that is not ours is asked.
func screen(columns int, b []byte) string {
	vt := vt10x.New(vt10x.WithSize(columns, 200))
	vt.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))) // as a terminal's line discipline does
	var rows []string
	for _, row := range strings.Split(vt.String(), "\n") {
		rows = append(rows, strings.TrimRight(row, " \x00"))
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// session has events and lines with the bar drawn after each, and returns what was written up to the end, without the
// bar's going away, and the lines alone.
func session(t *testing.T, columns func() int, paint Paint) (all, ended, lines []byte) {
	t.Helper()
	var out, plain bytes.Buffer
	q := NewQueue(&out)
	l := ForGroups(40)
	b := NewBar(q, columns, paint, l)
	begun := time.Now()
	for i := range 40 {
		name := fmt.Sprintf("192.0.2.%d-203.0.113.1 reqid %d", i, i)
		b.Take(l, executor.Event{Time: begun, Kind: executor.GroupStarted, Group: name})
		q.Drain(t.Context())
		b.draw(begun.Add(time.Duration(i) * time.Second))
		kind := executor.GroupDone
		if i%9 == 5 {
			kind = executor.GroupStuck
			line := fmt.Sprintf("%s: NOT undone, its traffic stays blocked: MIGRATE_STATE: file exists\n", name)
			fmt.Fprint(b, line)
			plain.WriteString(line)
		}
		b.Take(l, executor.Event{Time: begun, Kind: kind, Group: name, Span: 350 * time.Microsecond})
		q.Drain(t.Context())
		b.draw(begun.Add(time.Duration(i) * time.Second))
	}
	q.Drain(context.Background())
	all = bytes.Clone(out.Bytes())
	b.Close()
	q.Drain(context.Background())
	return all, out.Bytes(), plain.Bytes()
}

func TestBarLeavesTheLinesAboveAlone(t *testing.T) {
	for _, columns := range []int{1, 2, 7, 12, 20, 37, 60, 80, 200} {
		for _, paint := range []Paint{false, true} {
			during, ended, lines := session(t, func() int { return columns }, paint)
			if got, want := screen(columns, ended), screen(columns, lines); got != want {
				t.Errorf("%d columns: when all is over the screen shows\n%s\nwant\n%s", columns, got, want)
			}
			want := screen(columns, lines)
			got := screen(columns, during)
			bar, ok := strings.CutPrefix(got, want+"\n")
			if columns > 2 && (!ok || strings.Contains(bar, "\n") || !strings.Contains(bar, "36"[:min(2, columns-1)])) {
				t.Errorf("%d columns: while it runs the screen shows\n%s\nwant one line of a bar below\n%s", columns, got, want)
			}
		}
	}
}

func TestBarHasNoEscapesOfColourWithoutPaint(t *testing.T) {
	_, plain, _ := session(t, func() int { return 80 }, false)
	_, painted, _ := session(t, func() int { return 80 }, true)
	if bytes.Contains(plain, []byte("\x1b[3")) {
		t.Errorf("without paint it wrote %q", plain)
	}
	if !bytes.Contains(painted, []byte("\x1b[32m#")) {
		t.Errorf("with paint it wrote %q", painted)
	}
}

func TestBarGivesWayToWhatIsSaidAfterTheRun(t *testing.T) {
	var out bytes.Buffer
	q := NewQueue(&out)
	l := ForGroups(1)
	b := NewBar(q, func() int { return 80 }, false, l)
	b.Take(l, executor.Event{Time: time.Now(), Kind: executor.GroupStarted, Group: "g"})
	b.draw(time.Now())
	q.Drain(t.Context())
	if got := screen(80, out.Bytes()); !strings.Contains(got, "0 of 1 groups done  blocked now 1") {
		t.Fatalf("the bar is %q", got)
	}
	b.Take(l, executor.Event{Time: time.Now(), Kind: executor.GroupDone, Group: "g"})
	b.Take(l, executor.Event{Time: time.Now(), Kind: executor.RunEnded})
	b.draw(time.Now())
	fmt.Fprintln(b, "To keep this, confirm within 10m")
	b.draw(time.Now())
	q.Drain(t.Context())
	if got := screen(80, out.Bytes()); got != "To keep this, confirm within 10m" {
		t.Errorf("the screen shows %q", got)
	}
	b.Close()
}

// TestBarIsCutOffOnATerminalThatWasJustMadeNarrower draws for 80 columns on a terminal that has 30 by now.
func TestBarIsCutOffOnATerminalThatWasJustMadeNarrower(t *testing.T) {
	during, ended, lines := session(t, func() int { return 80 }, false)
	want := screen(30, lines)
	if got := screen(30, ended); got != want {
		t.Errorf("when all is over the screen shows\n%s\nwant\n%s", got, want)
	}
	if bar, ok := strings.CutPrefix(screen(30, during), want+"\n"); !ok || strings.Contains(bar, "\n") {
		t.Errorf("while it runs the screen shows\n%s", screen(30, during))
	}
}
