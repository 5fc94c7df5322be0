// Package result holds what the benchmarks of the engine measure, on its way from the lab's machine to the documents.
package result

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"time"
)

// Way is a way to move Child SAs.
type Way string

// The ways, in the order of the table.
const (
	Floor   Way = "floor"
	Plain   Way = "plain floor"
	Apply   Way = "apply"
	InPlace Way = "in place"
	Legacy  Way = "legacy"
	IPBatch Way = "ip -batch"
)

// Kind says how the Child SAs are told apart.
type Kind string

// The kinds: policies that all stand in the same bins of the SPD, or an if_id for each Child SA.
const (
	PolicyBased Kind = "policy-based"
	IfID        Kind = "if_id-based"
)

// Boot is what one machine measured between its start and its end. Figures of one boot can be compared.
type Boot struct {
	Kernel    string
	Processor string // that the emulation runs as
	CPUs      int
	MemoryMiB int
	Date      string
	Ways      []Measure `json:",omitempty"`
	Parallel  []Measure `json:",omitempty"` // the floor, and apply by Parallelism
}

// Measure is the fastest of several runs.
type Measure struct {
	Way         Way
	Kind        Kind
	N           int // Child SAs in the namespace
	Moved       int // less than N if the time was up
	Runs        int
	Took        time.Duration
	Messages    int     // requests for each Child SA, 0 if not counted
	Interrupted *Spread // by Child SA, nil if it can't be seen
	Peak        int64   // KiB of the process, 0 if it is the benchmark's own
	Parallelism int     `json:",omitempty"`
	Phases      *Phases `json:",omitempty"`
}

// Each returns the cost of one Child SA.
func (m *Measure) Each() time.Duration { return m.Took / time.Duration(max(m.Moved, 1)) }

// Phases is where the time of an apply goes, by the clock.
type Phases struct {
	Compute time.Duration // from the start of the process: read the plan, SAD and SPD, compute, preflight
	Intend  time.Duration // the journal
	Groups  time.Duration // from the first group's start to the last one's end
	End     time.Duration // the report, and the end of the process
}

// Spread is the distribution of a duration.
type Spread struct{ P50, P99, Max time.Duration }

// SpreadOf returns the distribution of the samples, nil of none. It sorts them.
func SpreadOf(samples []time.Duration) *Spread {
	if len(samples) == 0 {
		return nil
	}
	slices.Sort(samples)
	// The nearest rank: of ten samples the 99th percentile is the largest.
	at := func(p float64) time.Duration { return samples[int(math.Ceil(p*float64(len(samples))))-1] }
	return &Spread{P50: at(0.50), P99: at(0.99), Max: samples[len(samples)-1]}
}

// Write writes b as JSON.
func (b *Boot) Write(path string) error {
	data, err := json.MarshalIndent(b, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Read reads what Write wrote.
func Read(path string) (*Boot, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := new(Boot)
	return b, json.Unmarshal(data, b)
}

// Find returns the measure of a way at a size, nil if there is none.
func (b *Boot) Find(way Way, kind Kind, n int) *Measure {
	for i := range b.Ways {
		if m := &b.Ways[i]; m.Way == way && m.Kind == kind && m.N == n {
			return m
		}
	}
	return nil
}
