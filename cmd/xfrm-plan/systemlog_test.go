package main

import (
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

type logged struct {
	text     string
	priority journal.Priority
	fields   map[string]string
}

func TestSystemLogHasALineForTheBeginningAndTheEnd(t *testing.T) {
	p, args := withTunnels(t, 5, io.Discard)
	var lines []logged
	p.log = func(text string, priority journal.Priority, fields map[string]string) {
		lines = append(lines, logged{text, priority, maps.Clone(fields)})
	}
	again := *p
	if code := p.run(t.Context(), args); code != exitOK {
		t.Fatalf("exit status %d", code)
	}
	if code := again.run(t.Context(), []string{args[0], args[1], "rollback", "--yes"}); code != exitOK {
		t.Fatalf("exit status %d", code)
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines: %+v", len(lines), lines)
	}
	run := lines[0].fields["XFRM_PLAN_RUN"]
	var got []string
	for _, l := range lines {
		if l.fields["XFRM_PLAN_RUN"] != run || run == "" || l.fields["XFRM_PLAN_PLAN"] != "isp-swap" || l.priority > journal.PriInfo || l.priority < journal.PriNotice {
			t.Errorf("%+v", l)
		}
		f := l.fields
		got = append(got, f["MESSAGE_ID"]+" "+f["XFRM_PLAN_OUTCOME"]+" "+f["XFRM_PLAN_GROUPS"]+" "+f["XFRM_PLAN_DONE"]+" "+f["XFRM_PLAN_UNDONE"])
	}
	want := []string{messageBegun + "  5  ", messageEnded + " done 5 5 0", messageBegun + "  5  ", messageEnded + " undone 5 0 5"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if lines[1].fields["XFRM_PLAN_LONGEST_INTERRUPTION_USEC"] == "0" {
		t.Error("traffic was held back for no time at all")
	}
}
