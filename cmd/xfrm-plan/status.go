package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/review"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

func (p *program) statusCommand() *cobra.Command {
	var journal bool
	c := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show what runs have done, and how far those at work are",
		Long: "status lists the runs of this host, or shows one of them group by group, or with --journal record by record what\n" +
			"it, or else the last one, meant to do. It can be asked while a run is at work, and keeps nobody waiting. The last 100 runs are kept, and\n" +
			"all of the last 30 days.",
		Annotations:       exitHelp(exitOK, exitUnexpected, exitHostCannot),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeRuns(anyRun),
		RunE: func(_ *cobra.Command, args []string) error {
			state, err := rollback.OpenStateDir(p.stateDir)
			if errors.Is(err, fs.ErrPermission) {
				return &exitError{exitHostCannot, err}
			}
			switch {
			case err != nil:
				return err
			case journal:
				return p.statusJournal(state, args)
			case len(args) == 1:
				return p.statusOf(state, args[0])
			}
			return p.statusAll(state)
		},
	}
	c.Flags().BoolVar(&journal, "journal", false, "print the journal of the run, the last one unless named")
	return c
}

// standing is a run's line, as JSON and as text.
type standing struct {
	Run        string    `json:"run"`
	Plan       string    `json:"plan,omitempty"`
	NetNS      string    `json:"netns,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	State      string    `json:"state"`
	Process    int       `json:"process,omitempty"`
	Confirm    time.Time `json:"confirmBefore,omitzero"`
	Wave       string    `json:"wave,omitempty"` // the one that was begun last
	WaveNumber int       `json:"waveNumber,omitempty"`
	Waves      int       `json:"waves,omitempty"`
	Done       int       `json:"done"`
	Undone     int       `json:"undone,omitempty"`
	Blocked    int       `json:"blocked,omitempty"`
	Unknown    int       `json:"unknown,omitempty"`
	Behind     int       `json:"notFollowed,omitempty"` // groups that have moved without their IKE daemon
	Groups     int       `json:"groups"`

	// What a process that is at work tells now and then.
	Live *rollback.Progress `json:"progress,omitempty"`

	Unreadable string `json:"unreadable,omitempty"`
}

func standingOf(past *rollback.Past, s rollback.Standing, now time.Time) standing {
	h := &past.Header
	l := standing{
		Run: h.Run, Plan: h.Plan, NetNS: h.NetNS, Started: h.Started, State: s.State, Process: s.Process,
		WaveNumber: s.Wave, Waves: len(h.Waves), Groups: s.Groups,
		Done: past.Count(executor.Done), Undone: past.Count(executor.Undone), Blocked: past.Count(executor.Stuck),
		Unknown: past.Count(executor.Unknown), Behind: past.Count(executor.NotFollowed), Live: s.Progress,
	}
	if s.WordLeft > 0 {
		l.Confirm = now.Add(s.WordLeft).Round(time.Second)
	}
	if s.Wave > 0 {
		l.Wave = h.Waves[s.Wave-1].Name
	}
	return l
}

// counts says how far the run is.
func (l *standing) counts() string {
	text := fmt.Sprintf("%d of %d groups done", l.Done, l.Groups)
	for _, c := range []struct {
		n    int
		what executor.Outcome
	}{{l.Undone, executor.Undone}, {l.Blocked, executor.Stuck}, {l.Unknown, executor.Unknown}, {l.Behind, executor.NotFollowed}} {
		if c.n != 0 {
			text += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	return text
}

// more says what is worth to know of a run that is not over.
func (l *standing) more(now time.Time) string {
	var all []string
	if l.NetNS != "" {
		all = append(all, "in "+l.NetNS)
	}
	if l.Process != 0 {
		if l.Waves > 1 && l.Wave != "" {
			all = append(all, fmt.Sprintf("wave %d of %d (%s)", l.WaveNumber, l.Waves, l.Wave))
		}
		all = append(all, fmt.Sprintf("begun %s, %v ago", clock(l.Started), now.Sub(l.Started).Round(time.Second)), fmt.Sprintf("process %d", l.Process))
		if l.Live != nil {
			all = append(all, figures(l.Live, now))
		}
	}
	if !l.Confirm.IsZero() {
		all = append(all, fmt.Sprintf("until %s, in %v: `xfrm-plan confirm %s`", clock(l.Confirm), l.Confirm.Sub(now).Round(time.Second), l.Run))
	}
	return strings.Join(all, ", ")
}

// figures are those of a run at work that its journal doesn't know.
func figures(f *rollback.Progress, now time.Time) string {
	text := fmt.Sprintf("blocked now %d, longest interruption %s", f.Blocked, review.Duration(f.Longest))
	if f.End.IsZero() {
		return text + ", ETA ?"
	}
	return text + fmt.Sprintf(", ETA %v", max(0, f.End.Sub(now)).Round(time.Second))
}

// clock is a time of day of here; what is of another day says so by its run's name.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }

func (p *program) statusAll(state *rollback.StateDir) error {
	runs, err := state.Runs()
	if err != nil {
		return err
	}
	all := []standing{}
	now := time.Now()
	for _, run := range runs {
		past, err := state.ReadJournal(run)
		if err != nil {
			all = append(all, standing{Run: run, State: "unreadable", Unreadable: err.Error()})
			continue
		}
		s, err := state.Standing(past)
		if err != nil {
			return err
		}
		all = append(all, standingOf(past, s, now))
	}
	if p.json() {
		return json.NewEncoder(p.out).Encode(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(p.out, "No runs yet.")
	}
	for i := range all {
		l := &all[i]
		if l.Unreadable != "" {
			fmt.Fprintf(p.out, "%s  %-10s  %s\n", l.Run, l.State, l.Unreadable)
			continue
		}
		fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%s  %-10s  %s  %s  %s", l.Run, l.State, l.counts(), l.Plan, l.more(now)), " "))
	}
	return nil
}

func (p *program) statusOf(state *rollback.StateDir, run string) error {
	past, err := state.ReadJournal(run)
	if err != nil {
		return err
	}
	s, err := state.Standing(past)
	if err != nil {
		return err
	}
	report, err := state.ReadReport(run)
	if err != nil {
		return err
	}
	if n := len(past.Resumed); report != nil && n != 0 && report.Ended.Before(past.Resumed[n-1].At) {
		report = nil // of the time before; the journal knows more
	}
	now := time.Now()
	l := standingOf(past, s, now)
	if p.json() {
		h := &past.Header
		return json.NewEncoder(p.out).Encode(struct {
			standing
			Version int              `json:"version"`
			Digest  string           `json:"digest"`
			BootID  string           `json:"bootID"`
			Cookie  uint64           `json:"netnsCookie"`
			Report  *executor.Report `json:"report,omitempty"`
		}{l, h.Version, h.Digest, h.BootID, h.Cookie, report})
	}
	fmt.Fprintf(p.out, "Run %s of plan %s: %s", run, past.Header.Plan, s.State)
	if more := l.more(now); more != "" {
		fmt.Fprintf(p.out, ", %s", more)
	}
	fmt.Fprintln(p.out)
	if report != nil {
		printReport(p.out, report)
		return nil
	}
	fmt.Fprintf(p.out, "%s by its journal\n", l.counts())
	for i := range past.Transactions {
		t := &past.Transactions[i]
		printGroup(p.out, outcomeOf(past, t.Name, l.Process != 0), t.Name, len(t.Moves), len(t.Policies))
	}
	return nil
}

// outcomeOf is the outcome that the journal tells, or what it means that it tells none.
func outcomeOf(past *rollback.Past, group string, atWork bool) string {
	if o, ok := past.Outcomes[group]; ok {
		return string(o)
	}
	if atWork {
		return "to come"
	}
	return "in flight"
}
