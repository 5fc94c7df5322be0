package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
)

func row(w io.Writer, cells ...any) {
	for _, c := range cells {
		fmt.Fprintf(w, "| %v ", c)
	}
	fmt.Fprintln(w, "|")
}

func header(w io.Writer, title string, cells ...string) {
	fmt.Fprintf(w, "\n### %s\n\n| %s |\n|%s\n", title, strings.Join(cells, " | "), strings.Repeat("---|", len(cells)))
}

const none = "–"

func waysTable(w io.Writer, b *result.Boot, kind result.Kind) {
	title := "Policy-based: all policies in the same bins of the SPD"
	if kind == result.IfID {
		title = "if_id-based: an if_id for each Child SA"
	}
	header(w, title, "N", "way", "time", "one Child SA", "× floor", "messages each", "interruption p50", "p99", "max", "peak memory")
	for i := range b.Ways {
		m := &b.Ways[i]
		if m.Kind != kind {
			continue
		}
		n, way, messages, memory := "", string(m.Way), none, none
		if m.Way == result.Floor {
			n = thousands(m.N)
		}
		if m.Moved < m.N {
			way += fmt.Sprintf(" (%s moved)", thousands(m.Moved))
		}
		if m.Messages != 0 {
			messages = fmt.Sprint(m.Messages)
		}
		if m.Peak != 0 {
			memory = fmt.Sprintf("%d MiB", m.Peak>>10)
		}
		p50, p99, longest := spread(m.Interrupted)
		row(w, n, way, span(m.Took), span(m.Each()), ratio(b, m), messages, p50, p99, longest, memory)
	}
}

// ratio compares the cost of a Child SA with the floor's.
func ratio(b *result.Boot, m *result.Measure) string {
	if f := b.Find(result.Floor, m.Kind, m.N); f != nil {
		return fmt.Sprintf("%.2f", float64(m.Each())/float64(f.Each()))
	}
	return none
}

func spread(s *result.Spread) (p50, p99, longest string) {
	if s == nil {
		return none, none, none
	}
	return span(s.P50), span(s.P99), span(s.Max)
}

// phasesTable shows where apply's time goes by the clock.
func phasesTable(w io.Writer, b *result.Boot) {
	header(w, "Where apply's time goes, for each Child SA", "kind", "N", "read, compute, preflight", "journal", "groups", "report and end")
	for i := range b.Ways {
		m := &b.Ways[i]
		if p := m.Phases; p != nil {
			one := func(d time.Duration) string { return span(d / time.Duration(m.N)) }
			row(w, m.Kind, thousands(m.N), one(p.Compute), one(p.Intend), one(p.Groups), one(p.End))
		}
	}
}

func parallelTable(w io.Writer, boots []*result.Boot) {
	header(w, "Groups at once within one network namespace", "CPUs", "N", "parallelism", "time", "one Child SA", "interruption p50", "p99", "max")
	for _, b := range boots {
		for i := range b.Parallel {
			m := &b.Parallel[i]
			p := fmt.Sprint(m.Parallelism)
			if m.Way == result.Floor {
				p = string(result.Floor)
			}
			p50, p99, longest := spread(m.Interrupted)
			row(w, b.CPUs, thousands(m.N), p, span(m.Took), span(m.Each()), p50, p99, longest)
		}
	}
	fmt.Fprint(w, "\nThe processors are emulated in turns by one thread of the host: a second one shows what waits for what, and nothing of what hardware gains.\n")
}

// span shows a duration in three digits.
func span(d time.Duration) string {
	unit, name := time.Microsecond, "µs"
	switch {
	case d >= time.Second:
		unit, name = time.Second, "s"
	case d >= time.Millisecond:
		unit, name = time.Millisecond, "ms"
	}
	v := float64(d) / float64(unit)
	digits := 2
	switch {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, name)
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
