package main

import (
	"fmt"
	"io"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/review"
)

// printReport writes a run's report for people.
func printReport(w io.Writer, r *executor.Report) {
	printReportHead(w, r)
	for i := range r.Groups {
		g := &r.Groups[i]
		printGroup(w, string(g.Outcome), g.Name, g.Calls, g.Policies)
		for _, s := range g.Spans {
			fmt.Fprintf(w, "             blocked for %s from %s\n", review.Duration(s.Span), instant(s.From))
		}
		if !g.Verified.IsZero() {
			fmt.Fprintf(w, "             %d SAs and %d policies read back at %s\n", g.SAsVerified, g.PoliciesVerified, instant(g.Verified))
		}
		for _, text := range g.Problems {
			fmt.Fprintf(w, "             %s\n", text)
		}
	}
	if r.Before != nil {
		fmt.Fprint(w, "\nThe run itself, before that:\n")
		printReport(w, r.Before)
	}
}

func printReportHead(w io.Writer, r *executor.Report) {
	what := "applied"
	switch r.Towards {
	case executor.Undone:
		what = "undone"
	case executor.Done:
		what = "brought on"
	}
	interrupted := ""
	if r.Interrupted {
		interrupted = ", interrupted"
	}
	fmt.Fprintf(w, "%s from %s in %s%s: %s", what, r.Started.Local().Format("2006-01-02 15:04:05.000 -0700"),
		review.Duration(r.Ended.Sub(r.Started)), interrupted, countsOf(r))
	if _, group := r.Longest(); group != "" {
		fmt.Fprintf(w, " (%s)", group)
	}
	fmt.Fprintln(w)
}

func printGroup(w io.Writer, outcome, name string, sas, policies int) {
	fmt.Fprintf(w, "  %-10s %s (%d SAs, %d policies)\n", outcome, name, sas, policies)
}

// instant is a time of day, fine enough to find it in a capture.
func instant(t time.Time) string { return t.Local().Format("15:04:05.000000") }
