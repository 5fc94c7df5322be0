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
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

// apply measures the program as an operator starts it, from start to end, with its journal on the machine's disk. Its
// output goes into a file in memory: somebody who reads along would take the only processor away from it.
func (h *hub) apply(parallelism int) (result.Measure, error) {
	dir, err := os.MkdirTemp("/var/tmp", "engine-") // /tmp is in memory
	if err != nil {
		return result.Measure{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "plan.yaml")
	if err := os.WriteFile(file, []byte(planFile(h.at, parallelism)), 0o600); err != nil {
		return result.Measure{}, err
	}
	stdout, err := os.CreateTemp("/tmp", "apply-")
	if err != nil {
		return result.Measure{}, err
	}
	defer os.Remove(stdout.Name())
	defer stdout.Close()
	var stderr bytes.Buffer
	cmd := exec.Command(*program, "apply", file, "--yes", "--output", "json", "--netns", nsName, "--state-dir", filepath.Join(dir, "state"))
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	waitIdle(h.t)
	start := time.Now()
	peak, err := watched(cmd)
	end := time.Now()
	if err != nil {
		return result.Measure{}, fmt.Errorf("apply: %w\n%s", err, stderr.Bytes())
	}
	said, err := os.Open(stdout.Name())
	if err != nil {
		return result.Measure{}, err
	}
	defer said.Close()
	m, err := readRun(said, start, end)
	if err == nil && m.Moved != h.n {
		err = fmt.Errorf("the report has %d groups of %d done", m.Moved, h.n)
	}
	m.Peak = peak
	return m, err
}

func planFile(from place, parallelism int) string {
	transaction := ""
	if parallelism != 0 {
		transaction = fmt.Sprintf("transaction: {parallelism: %d}\n", parallelism)
	}
	return fmt.Sprintf("apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: engine}\nrenumber: [{from: %v, to: %v}]\n%s",
		local[from], local[1-from], transaction)
}

// readRun takes a run's figures out of what apply has printed.
func readRun(said *os.File, start, end time.Time) (result.Measure, error) {
	m := result.Measure{Way: result.Apply, Took: end.Sub(start), Phases: new(result.Phases)}
	var spans []time.Duration
	var runStarted, first, last time.Time
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 256<<20) // the report is one line
	for lines.Scan() {
		var e struct {
			Event  string
			Time   time.Time
			Span   time.Duration `json:"spanNanoseconds"`
			Groups []struct {
				Outcome string
				Blocked time.Duration `json:"blockedNanoseconds"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return m, err
		}
		switch e.Event {
		case "run-started":
			runStarted = e.Time
		case "group-started":
			if first.IsZero() {
				first = e.Time
			}
		case "group-done":
			last = e.Time
		case "report":
			for _, g := range e.Groups {
				if g.Outcome == "done" {
					m.Moved++
					spans = append(spans, g.Blocked)
				}
			}
		}
	}
	if first.IsZero() || m.Moved == 0 {
		return m, errors.Join(lines.Err(), errors.New("apply printed no events of groups or no report"))
	}
	m.Interrupted = result.SpreadOf(spans)
	*m.Phases = result.Phases{Compute: runStarted.Sub(start), Intend: first.Sub(runStarted), Groups: last.Sub(first), End: end.Sub(last)}
	return m, lines.Err()
}
