package main

import (
	"fmt"
	"io"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/progress"
)

// undoView shows what recover and rollback do.
type undoView struct {
	p    *program
	run  string
	w    io.Writer
	bar  *progress.Bar // nil without a terminal
	lane *progress.Lane
}

func (p *program) undoView(run string, groups int) *undoView {
	v := &undoView{p: p, run: run, w: p.out, lane: progress.ForGroups(groups)}
	if !p.json() {
		v.bar = p.bar(v.lane)
	}
	if v.bar != nil {
		v.w = v.bar
	}
	return v
}

func (v *undoView) event(e executor.Event) {
	if v.p.json() {
		writeJSON(v.w, e)
		return
	}
	if v.bar != nil {
		v.bar.Take(v.lane, e)
	}
	if text := v.line(e); text != "" {
		fmt.Fprintln(v.w, text)
	}
}

func (v *undoView) line(e executor.Event) string {
	paint := v.p.paint()
	switch e.Kind {
	case executor.GroupDone, executor.GroupUndone:
		if v.bar != nil {
			return ""
		}
		return fmt.Sprintf("[%d/%d] %s: settled", e.Done, e.Total, e.Group)
	case executor.GroupSkipped:
		return fmt.Sprintf("[%d/%d] %s: the kernel holds no sign of it; left as it is", e.Done, e.Total, e.Group)
	case executor.Note:
		return fmt.Sprintf("%s: note: %s", e.Group, e.Text)
	case executor.GroupFollowed:
		return fmt.Sprintf("%s: %s", e.Group, e.Text)
	case executor.GroupNotFollowed:
		return paint.Red(fmt.Sprintf("[%d/%d] %s: its IKE daemon is NOT where it should be: %s", e.Done, e.Total, e.Group, e.Text))
	case executor.GroupUnknown:
		return paint.Red(fmt.Sprintf("[%d/%d] %s: NOT KNOWN: %s", e.Done, e.Total, e.Group, e.Text))
	case executor.GroupStuck:
		return paint.Red(fmt.Sprintf("[%d/%d] %s: NOT settled, its traffic stays blocked: %s", e.Done, e.Total, e.Group, e.Text))
	}
	return ""
}

// close takes the bar away. With JSON it prints the report, if there is one.
func (v *undoView) close(r *executor.Report, err error) {
	if v.bar != nil {
		v.bar.Close()
	}
	if v.p.json() && r != nil {
		text := ""
		if err != nil {
			text = err.Error()
		}
		writeJSON(v.w, reportLine{Event: "report", Report: r, Error: text})
	}
}

func (v *undoView) end(r *executor.Report, towards executor.Outcome) error {
	where := "old"
	if towards == executor.Done {
		where = "new"
	}
	rest := "nothing of the run is left over."
	if n := r.Count(executor.Untouched); n != 0 {
		rest = fmt.Sprintf("of %d the kernel holds no sign, and nothing was done to them.", n)
	}
	return v.p.say("Run %s: %d of %d groups are at the %s addresses, %s", v.run, r.Count(towards), len(r.Groups), where, rest)
}
