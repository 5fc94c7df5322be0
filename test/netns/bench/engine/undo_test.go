//go:build lab

package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// TestUndo has a canary of a hundred Child SAs fail its check, and prints for how long each of them was held back on its way there and back, among few
// others and among many: neither depends on how many there are.
func TestUndo(t *testing.T) {
	for _, n := range []int{200, 10_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHub(t, result.PolicyBased, n)
			dir := t.TempDir()
			file := filepath.Join(dir, "plan.yaml")
			text := planFile(h.at, 0) + "waves: [{name: canary, size: 100}, {name: rest, size: 100%}]\nchecks: {after: {command: {run: [/bin/false]}}}\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			cmd := exec.Command(*program, "apply", file, "--yes", "--output", "json", "--netns", nsName, "--state-dir", filepath.Join(dir, "state"))
			cmd.Stderr = &stderr
			said, err := cmd.Output()
			if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Fatalf("apply: %v, want exit status 7\n%s", err, stderr.Bytes())
			}
			there, back := spansOf(t, said, executor.GroupDone), spansOf(t, said, executor.GroupUndone)
			if len(there) != 100 || len(back) != 100 {
				t.Fatalf("%d groups were moved and %d undone, want 100", len(there), len(back))
			}
			t.Logf("100 of %d: there p50 %v, p99 %v; back p50 %v, p99 %v", n, there[50], there[98], back[50], back[98])
		})
	}
}

// spansOf lists for how long groups were held back, shortest first, by the events of one kind that apply has printed.
func spansOf(t *testing.T, said []byte, kind executor.Kind) (spans []time.Duration) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(said))
	lines.Buffer(nil, 256<<20) // the report is one of them
	for lines.Scan() {
		var e executor.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil && e.Kind == kind {
			spans = append(spans, e.Span)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(spans)
	return spans
}
