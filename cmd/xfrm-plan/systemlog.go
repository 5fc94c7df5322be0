package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/progress"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The system's log has a line when a run begins and one when it ends, whatever shows it meanwhile: whoever looks at night
// into why a tunnel stood still looks there first, and not at somebody else's terminal.

// What `journalctl MESSAGE_ID=` finds them by.
const (
	messageBegun = "5b8d2f0e6a134d7c9c1ef3a86f0d4721"
	messageEnded = "c06f7b1d92e84a5fb3a0d95d1c6e8f34"
)

// systemLogTime is how long the system's log may take to accept a line. A run does not depend on it.
const systemLogTime = time.Second

// sendToSystemLog sends a line to systemd's journal, if there is one.
func sendToSystemLog(text string, priority journal.Priority, fields map[string]string) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if journal.Enabled() {
			_ = journal.Send(text, priority, fields)
		}
	}()
	select {
	case <-sent:
	case <-time.After(systemLogTime):
	}
}

// loggedView notes the beginning and the end of runs in the system's log besides what it shows.
type loggedView struct {
	view
	p *program
}

func (v loggedView) event(l *lane, e executor.Event) {
	if e.Kind == executor.RunStarted {
		v.p.logBegun(e.Run, l.plan.Name, l.ns.name, e.Total, "")
	}
	v.view.event(l, e)
}

func (v loggedView) report(l *lane, r *executor.Report, err error) {
	v.p.logEnded(r, l.ns.name, outcomeOfRun(r, err))
	v.view.report(l, r, err)
}

// outcomeOfRun says in a word what the exit code says in a number.
func outcomeOfRun(r *executor.Report, err error) string {
	switch exitOfRun(r, err) {
	case exitOK:
		return "done"
	case exitNotUndone:
		return "not-undone"
	case exitInterrupted:
		return "interrupted"
	}
	if r.Count(executor.Done) != 0 { // onError: stop or continue
		return "partly-done"
	}
	return "undone"
}

func (p *program) logBegun(run, plan, netns string, total int, towards executor.Outcome) {
	what := "begins"
	switch towards {
	case executor.Undone:
		what = "is being undone"
	case executor.Done:
		what = "is being brought on"
	}
	p.systemLog(fmt.Sprintf("Run %s of plan %s%s %s: %s.", run, plan, inNetNS(netns), what, groups(total)), journal.PriInfo,
		fieldsOf(messageBegun, run, plan, netns, map[string]int{"GROUPS": total}))
}

func (p *program) logEnded(r *executor.Report, netns, outcome string) {
	priority := journal.PriNotice
	switch {
	case r.Unsettled() != 0:
		priority = journal.PriCrit
	case outcome != "done" && outcome != string(r.Towards):
		priority = journal.PriWarning
	}
	longest, _ := r.Longest()
	fields := fieldsOf(messageEnded, r.Run, r.Plan, netns, map[string]int{
		"GROUPS": len(r.Groups), "DONE": r.Count(executor.Done), "UNDONE": r.Count(executor.Undone),
		"BLOCKED": r.Count(executor.Stuck), "UNKNOWN": r.Count(executor.Unknown), "UNTOUCHED": r.Count(executor.Untouched),
		"NOT_FOLLOWED":              r.Count(executor.NotFollowed),
		"LONGEST_INTERRUPTION_USEC": int(longest.Microseconds()),
	})
	fields["XFRM_PLAN_OUTCOME"] = outcome
	p.systemLog(fmt.Sprintf("Run %s of plan %s%s: %s.", r.Run, r.Plan, inNetNS(netns), countsOf(r)), priority, fields)
}

func inNetNS(name string) string {
	if name == "" {
		return ""
	}
	return " in network namespace " + name
}

func fieldsOf(id, run, plan, netns string, counts map[string]int) map[string]string {
	fields := map[string]string{
		"MESSAGE_ID": id, "SYSLOG_IDENTIFIER": "xfrm-plan",
		"XFRM_PLAN_RUN": run, "XFRM_PLAN_PLAN": plan, "XFRM_PLAN_NETNS": netns,
	}
	for name, n := range counts {
		fields["XFRM_PLAN_"+name] = strconv.Itoa(n)
	}
	return fields
}

// settle brings every transaction of a run to one end and notes that in the system's log too.
func (p *program) settle(ctx context.Context, state *rollback.StateDir, past *rollback.Past, towards executor.Outcome, conn *xfrm.Conn,
	emit func(executor.Event)) (*executor.Report, error) {
	h := &past.Header
	p.logBegun(h.Run, h.Plan, h.NetNS, len(past.Transactions), towards)
	take, end := tell(state, h.Run, progress.ForGroups(len(past.Transactions)))
	report, err := state.Settle(ctx, past, towards, conn, func(e executor.Event) { take(&e); emit(e) })
	end()
	if report == nil {
		return nil, err
	}
	outcome := string(towards)
	switch {
	case report.Unsettled() != 0:
		outcome = "not-undone"
	case report.Interrupted:
		outcome = "interrupted"
	}
	p.logEnded(report, h.NetNS, outcome)
	return report, err
}

// systemLog passes a line on, where there is a system's log.
func (p *program) systemLog(text string, priority journal.Priority, fields map[string]string) {
	if p.log != nil {
		p.log(text, priority, fields)
	}
}
