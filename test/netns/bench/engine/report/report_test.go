package main

import (
	"bytes"
	"os"
	"testing"
	"time"
)

const docs = "../../../../../docs/"

// The documents are never edited by hand, and new measurements never go without them.
func TestDocumentsAreOfTheMeasurements(t *testing.T) {
	m, err := load("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(docs + "benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := engine(m).In(page); err != nil || !bytes.Equal(again, page) {
		t.Error("docs/benchmarks.md is not what the measurements say: go run ./test/netns/bench/engine/report")
	}
	svg, err := os.ReadFile(docs + "engine.svg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(svg, plot(m.ways)) {
		t.Error("docs/engine.svg is not what the measurements say: go run ./test/netns/bench/engine/report")
	}
}

func TestSpanHasThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00 µs", 1234: "1.23 µs", 412_600: "413 µs", 20_573_526: "20.6 ms", 7_840 * time.Millisecond: "7.84 s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%d) = %q, want %q", d, got, want)
		}
	}
}
