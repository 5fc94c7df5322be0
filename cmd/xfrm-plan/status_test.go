package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestStatusShowsARunAtWork looks at a run that pauses between its waves, and interrupts it there.
func TestStatusShowsARunAtWork(t *testing.T) {
	p, args := withTunnels(t, 5, io.Discard)
	file := args[len(args)-1]
	text := strings.Replace(movePlan, "pause: 1s", "pause: 10m", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	over := make(chan int, 1)
	applying := *p
	go func() { over <- applying.run(ctx, args) }()
	ask := func(more ...string) string {
		var out bytes.Buffer
		look := *p
		look.out = &out
		if code := look.run(t.Context(), append([]string{args[0], args[1], "status"}, more...)); code != exitOK {
			t.Fatalf("status %v: exit status %d", more, code)
		}
		return out.String()
	}
	want := regexp.MustCompile(`^(\S+)  at work +1 of 5 groups done  isp-swap  wave 1 of 2 \(canary\), begun \d\d:\d\d:\d\d, \d+s ago, process \d+, ` +
		`blocked now 0, longest interruption \S+, ETA (9m\d+|10m0)s\n$`)
	deadline := time.Now().Add(60 * time.Second)
	for !want.MatchString(ask()) {
		if time.Now().After(deadline) {
			t.Fatalf("status says %q", ask())
		}
		time.Sleep(20 * time.Millisecond)
	}
	run := want.FindStringSubmatch(ask())[1]
	var answer struct {
		State, Wave   string
		Process, Done int
		Groups        int
		Progress      struct {
			BlockedNow                     *int
			LongestInterruptionNanoseconds int64
			ExpectedEnd                    time.Time
		}
	}
	if err := json.Unmarshal([]byte(ask("--output", "json", run)), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.State != "at work" || answer.Wave != "canary" || answer.Process != os.Getpid() || answer.Done != 1 || answer.Groups != 5 {
		t.Errorf("as JSON: %+v", answer)
	}
	if f := answer.Progress; f.BlockedNow == nil || *f.BlockedNow != 0 || f.LongestInterruptionNanoseconds <= 0 || time.Until(f.ExpectedEnd) < time.Minute {
		t.Errorf("as JSON: %+v", f)
	}
	if got := ask(run); !strings.Contains(got, "1 of 5 groups done by its journal") || strings.Contains(got, "in flight") {
		t.Errorf("status %s says %q", run, got)
	}
	interrupt()
	if code := <-over; code != exitInterrupted {
		t.Fatalf("exit status %d", code)
	}
	got := ask(run)
	if _, err := os.Stat(filepath.Join(args[1], "runs", run, "progress.json")); !os.IsNotExist(err) {
		t.Errorf("a run that is over still tells how far it is: %v", err)
	}
	for _, want := range []string{": ended\n", "interrupted: 0 of 5 groups done, 1 undone, 4 untouched", "2 SAs and 6 policies read back at "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "blocked for "); n != 2 {
		t.Errorf("one group was blocked there and back, but %d spans are told:\n%s", n, got)
	}
}
