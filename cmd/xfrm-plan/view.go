package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/review"
)

// view shows a run while it goes on and at its end. Both forms are made of the same events and report.
type view interface {
	event(l *lane, e executor.Event)
	report(l *lane, r *executor.Report, err error)
}

func (p *program) view(lanes []*lane) view {
	if p.json() {
		return &jsonView{enc: json.NewEncoder(p.out)}
	}
	return &textView{w: p.out, several: len(lanes) > 1}
}

// textView prints a line for each group and for what needs attention.
type textView struct {
	mu      sync.Mutex
	w       io.Writer
	several bool
}

func (v *textView) event(l *lane, e executor.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	prefix := ""
	if v.several {
		prefix = l.ns.name + ": "
	}
	switch e.Kind {
	case executor.GroupDone:
		fmt.Fprintf(v.w, "%s[%d/%d] %s: moved; its traffic was held back for %s\n", prefix, e.Done, e.Total, e.Group,
			review.Duration(e.Span))
	case executor.GroupFailed:
		fmt.Fprintf(v.w, "%s%s: failed: %s\n", prefix, e.Group, e.Text)
	case executor.GroupFollowed:
		fmt.Fprintf(v.w, "%s%s: %s\n", prefix, e.Group, e.Text)
	case executor.GroupNotFollowed:
		fmt.Fprintf(v.w, "%s%s: moved, but its IKE daemon does NOT follow: %s\n", prefix, e.Group, e.Text)
	case executor.GroupSkipped:
		fmt.Fprintf(v.w, "%s%s: not touched: %s\n", prefix, e.Group, e.Text)
	case executor.GroupUndone:
		fmt.Fprintf(v.w, "%s%s: undone, as before\n", prefix, e.Group)
	case executor.GroupUnknown:
		fmt.Fprintf(v.w, "%s%s: NOT KNOWN: %s; `xfrm-plan recover` finds out\n", prefix, e.Group, e.Text)
	case executor.GroupStuck:
		fmt.Fprintf(v.w, "%s%s: NOT undone, its traffic stays blocked: %s\n", prefix, e.Group, e.Text)
	case executor.Note:
		fmt.Fprintf(v.w, "%snote: %s\n", prefix, e.Text)
	}
}

func (v *textView) report(l *lane, r *executor.Report, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.w, "\nRun %s in %s, %s: %d of %d groups done", r.Run, l.ns, review.Duration(r.Ended.Sub(r.Started)),
		r.Count(executor.Done), len(r.Groups))
	for _, o := range []executor.Outcome{executor.Undone, executor.NotFollowed, executor.Stuck, executor.Unknown, executor.Untouched} {
		if n := r.Count(o); n != 0 {
			fmt.Fprintf(v.w, ", %d %s", n, o)
		}
	}
	fmt.Fprintf(v.w, "; longest interruption %s.\n", review.Duration(longest(r)))
	if err != nil {
		fmt.Fprintf(v.w, "%v\n", err)
	}
}

func longest(r *executor.Report) (d time.Duration) {
	for i := range r.Groups {
		d = max(d, r.Groups[i].Blocked)
	}
	return d
}

// undoView shows what recover and rollback do.
type undoView struct {
	p   *program
	run string
}

func (v *undoView) event(e executor.Event) {
	if v.p.json() {
		_ = json.NewEncoder(v.p.out).Encode(e)
		return
	}
	switch e.Kind {
	case executor.GroupDone, executor.GroupUndone:
		fmt.Fprintf(v.p.out, "[%d/%d] %s: settled\n", e.Done, e.Total, e.Group)
	case executor.Note:
		fmt.Fprintf(v.p.out, "%s: note: %s\n", e.Group, e.Text)
	case executor.GroupNotFollowed:
		fmt.Fprintf(v.p.out, "[%d/%d] %s: its IKE daemon is NOT where it should be: %s\n", e.Done, e.Total, e.Group, e.Text)
	case executor.GroupUnknown:
		fmt.Fprintf(v.p.out, "[%d/%d] %s: NOT KNOWN: %s\n", e.Done, e.Total, e.Group, e.Text)
	case executor.GroupStuck:
		fmt.Fprintf(v.p.out, "[%d/%d] %s: NOT settled, its traffic stays blocked: %s\n", e.Done, e.Total, e.Group, e.Text)
	}
}

func (v *undoView) end(r *executor.Report, towards executor.Outcome) error {
	where := "old"
	if towards == executor.Done {
		where = "new"
	}
	return v.p.say("Run %s: %d of %d groups are at the %s addresses, nothing of the run is left over.", v.run,
		r.Count(towards), len(r.Groups), where)
}

// say prints a sentence, as JSON where that is wanted.
func (p *program) say(format string, a ...any) error {
	text := fmt.Sprintf(format, a...)
	if p.json() {
		return json.NewEncoder(p.out).Encode(map[string]string{"message": text})
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// jsonView prints each event, and the report at the end, as one line.
type jsonView struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (v *jsonView) event(l *lane, e executor.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.enc.Encode(struct {
		executor.Event
		NetNS string `json:"netns,omitempty"`
	}{e, l.ns.name})
}

func (v *jsonView) report(l *lane, r *executor.Report, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	_ = v.enc.Encode(struct {
		Event string `json:"event"`
		*executor.Report
		NetNS string `json:"netns,omitempty"`
		Error string `json:"error,omitempty"`
	}{"report", r, l.ns.name, text})
}
