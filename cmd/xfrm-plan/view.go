package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/progress"
	"github.com/xfrm-plan/xfrm-plan/review"
)

// view shows a run while it goes on and at its end. All forms are made of the same events and report. Its methods may be
// called by several lanes at once.
type view interface {
	event(l *lane, e executor.Event)
	report(l *lane, r *executor.Report, err error)
}

// view returns the view of a program that is queued, and what ends it.
func (p *program) view(lanes []*lane) (v view, end func()) {
	if p.json() {
		return &jsonView{out: p.out}, func() {}
	}
	t := &textView{w: p.out, several: len(lanes) > 1, toType: p.toType}
	var works []*progress.Lane
	at := map[*lane]*progress.Lane{}
	for _, l := range lanes {
		if !l.plan.Empty() {
			at[l] = progress.ForPlan(l.plan)
			works = append(works, at[l])
		}
	}
	bar := p.bar(works...)
	if bar == nil {
		return t, func() {}
	}
	p.out = bar // for what is said meanwhile
	t.w, t.paint, t.quiet = bar, p.paint(), true
	return &barView{textView: t, bar: bar, at: at}, bar.Close
}

// lastWords is how long a program that was told to stop waits for its output to be taken: somebody who reads does so in
// much less.
const lastWords = 5 * time.Second

// queued is the program with an output that never keeps it waiting, and what waits in the end for those who read it.
func (p *program) queued() (*program, func(context.Context)) {
	q, also := progress.NewQueue(p.out), *p
	also.out = q
	if also.terminal == nil {
		also.terminal = terminalOf(p.out)
	}
	return &also, func(ctx context.Context) {
		if ctx.Err() != nil { // it was told to stop: what it says about that is said, but not for ever
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
		}
		q.Drain(ctx)
	}
}

// textView prints a line for each group and for what needs attention.
type textView struct {
	w       io.Writer // takes each line in one write
	paint   progress.Paint
	several bool
	quiet   bool // a bar tells of the groups that end as they should
	toType  func(command, netns string) string
}

func (v *textView) event(l *lane, e executor.Event) {
	prefix := ""
	if v.several {
		prefix = l.ns.name + ": "
	}
	if text := v.line(l, e); text != "" {
		fmt.Fprintf(v.w, "%s%s\n", prefix, text)
	}
}

// line is what there is to say of an event, or nothing.
func (v *textView) line(l *lane, e executor.Event) string {
	switch e.Kind {
	case executor.GroupDone:
		if v.quiet {
			return ""
		}
		return fmt.Sprintf("[%d/%d] %s: moved; its traffic was held back for %s", e.Done, e.Total, e.Group, review.Duration(e.Span))
	case executor.GroupUndone:
		if v.quiet {
			return ""
		}
		return fmt.Sprintf("%s: undone, as before", e.Group)
	case executor.GroupFailed:
		return v.paint.Red(fmt.Sprintf("%s: failed: %s", e.Group, e.Text))
	case executor.GroupSkipped:
		return v.paint.Yellow(fmt.Sprintf("%s: not touched: %s", e.Group, e.Text))
	case executor.GroupFollowed:
		if v.quiet {
			return ""
		}
		return fmt.Sprintf("%s: %s", e.Group, e.Text)
	case executor.GroupNotFollowed:
		return v.paint.Red(fmt.Sprintf("%s: moved, but its IKE daemon does NOT follow: %s", e.Group, e.Text))
	case executor.GroupUnknown:
		return v.paint.Red(fmt.Sprintf("%s: NOT KNOWN: %s; %s finds out", e.Group, e.Text, v.toType("recover", l.ns.name)))
	case executor.GroupStuck:
		return v.paint.Red(fmt.Sprintf("%s: NOT undone, its traffic stays blocked: %s", e.Group, e.Text))
	case executor.Note:
		if e.Group != "" {
			return fmt.Sprintf("%s: note: %s", e.Group, e.Text)
		}
		return "note: " + e.Text
	case executor.Interrupted:
		return "interrupted: no other group is started"
	case executor.Undoing:
		return fmt.Sprintf("undoing what is done: %s", groups(e.Total))
	}
	return ""
}

func (v *textView) report(l *lane, r *executor.Report, err error) {
	text := fmt.Sprintf("\nRun %s in %s, %s: %s.\n", r.Run, l.ns, review.Duration(r.Ended.Sub(r.Started)), countsOf(r))
	if err != nil {
		text += err.Error() + "\n"
	}
	fmt.Fprint(v.w, text)
}

// countsOf says how many groups came to what.
func countsOf(r *executor.Report) string {
	text := fmt.Sprintf("%d of %d groups done", r.Count(executor.Done), len(r.Groups))
	for _, o := range []executor.Outcome{executor.Undone, executor.NotFollowed, executor.Stuck, executor.Unknown, executor.Untouched} {
		if n := r.Count(o); n != 0 {
			text += fmt.Sprintf(", %d %s", n, o)
		}
	}
	longest, _ := r.Longest()
	return text + "; longest interruption " + review.Duration(longest)
}

func groups(n int) string {
	if n == 1 {
		return "1 group"
	}
	return fmt.Sprintf("%d groups", n)
}

// barView draws a bar below the lines.
type barView struct {
	*textView
	bar *progress.Bar
	at  map[*lane]*progress.Lane
}

func (v *barView) event(l *lane, e executor.Event) {
	v.bar.Take(v.at[l], e)
	v.textView.event(l, e)
}

// jsonView prints each event, and the report at the end, as one line.
type jsonView struct {
	out io.Writer // takes each line in one write
}

func (v *jsonView) event(l *lane, e executor.Event) {
	line := e.AppendJSON(make([]byte, 0, 320)) // as long as the longest event of a group that fares well
	if l.ns.name != "" {
		name, _ := json.Marshal(l.ns.name) // a string can be encoded
		line = append(append(line, `,"netns":`...), name...)
	}
	_, _ = v.out.Write(append(line, "}\n"...))
}

func (v *jsonView) report(l *lane, r *executor.Report, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	writeJSON(v.out, reportLine{"report", r, l.ns.name, text})
}

type reportLine struct {
	Event string `json:"event"`
	*executor.Report
	NetNS string `json:"netns,omitempty"`
	Error string `json:"error,omitempty"`
}

func writeJSON(w io.Writer, v any) {
	if line, err := json.Marshal(v); err == nil {
		_, _ = w.Write(append(line, '\n'))
	}
}

// say prints a sentence, as JSON where that is wanted.
func (p *program) say(format string, a ...any) error {
	text := fmt.Sprintf(format, a...)
	if p.json() {
		return json.NewEncoder(p.out).Encode(map[string]string{"message": text, "time": time.Now().Format(time.RFC3339Nano)})
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}
