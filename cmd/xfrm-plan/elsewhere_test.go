package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// TestWhoLooksInTheWrongNamespaceIsSentToTheRight has a run in namespace a and asks for it in the current one.
func TestWhoLooksInTheWrongNamespaceIsSentToTheRight(t *testing.T) {
	p, args := withTunnels(t, 2, io.Discard)
	there, here := p.open, newMemoryHost(xfrmtest.WithCookie(77))
	p.open = func(name string) (namespace, error) {
		if name == "a" {
			return there(name)
		}
		return here, nil
	}
	var out bytes.Buffer
	p.out, p.err = &out, &out
	ask := func(want int, words ...string) string {
		t.Helper()
		out.Reset()
		again := *p
		if code := again.run(t.Context(), append(args[:2:2], words...)); code != want {
			t.Fatalf("%v: exit status %d, want %d\n%s", words, code, want, out.String())
		}
		return out.String()
	}
	ask(exitOK, append([]string{"--netns", "a"}, args[2:]...)...)
	dir := " --state-dir " + args[1]
	state, err := rollback.OpenStateDir(args[1])
	if err != nil {
		t.Fatal(err)
	}
	runs, err := state.Runs()
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	if got := ask(exitOK, "recover", "--yes"); got != "Nothing to recover in the current network namespace.\n" {
		t.Errorf("%q", got)
	}
	if got := ask(exitHostCannot, "rollback", "--yes", runs[0]); !strings.Contains(got, "`xfrm-plan rollback "+runs[0]+dir+" --netns a` there") {
		t.Errorf("%q", got)
	}
	j, err := state.Resume(runs[0], "undone", time.Now()) // as if it had been killed on its way
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	if got := ask(exitOK, "recover", "--yes"); !strings.Contains(got, "in network namespace a did not come to its end: `xfrm-plan recover"+dir+" --netns a` there") {
		t.Errorf("%q", got)
	}
	if got := ask(exitBusy, append([]string{"--netns", "a"}, args[2:]...)...); !strings.Contains(got, "run `xfrm-plan recover"+dir+" --netns a` first") {
		t.Errorf("%q", got)
	}
	before := here.kernel.Snapshot()
	if got := ask(exitHostCannot, "watchdog", runs[0], "--within", "0"); !strings.Contains(got, "was in network namespace a and not in the current network namespace: `xfrm-plan recover"+dir+" --netns a` there") {
		t.Errorf("%q", got)
	}
	if !reflect.DeepEqual(here.kernel.Snapshot(), before) {
		t.Error("a watchdog in another namespace has changed something")
	}
	ask(exitOK, "--netns", "a", "recover", "--yes")
}

// TestQuestionIsGivenUpOnASignal interrupts apply while it asks on a terminal: nobody has to answer first.
func TestQuestionIsGivenUpOnASignal(t *testing.T) {
	master, slave := pty(t)
	seen := reading(master)
	p, args := withTunnels(t, 1, io.Discard)
	p.in, p.err = slave, slave
	ctx, interrupt := context.WithCancel(t.Context())
	over := make(chan int, 1)
	words := append(args[:3:3], args[4:]...) // without --yes
	go func() { over <- p.run(ctx, words) }()
	time.Sleep(50 * time.Millisecond) // too short a wait only makes the test see less
	interrupt()
	select {
	case code := <-over:
		if code != exitInterrupted {
			t.Errorf("exit status %d", code)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("it still waits for an answer")
	}
	io.WriteString(master, "\n") // lets go of who still reads the terminal
	slave.Close()
	if out := <-seen; !bytes.Contains(out, []byte("nothing was changed")) {
		t.Errorf("it said %q", out)
	}
	if _, err := os.Stat(args[1] + "/runs"); err != nil {
		t.Error(err)
	}
}
