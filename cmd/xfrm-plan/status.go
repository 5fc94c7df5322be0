package main

import (
	"encoding/json"
	"fmt"
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
		Short: "Show what runs have done",
		Long: "status lists the runs of this host, or shows one of them group by group, or with --journal record by record what\n" +
			"it meant to do. The last 100 runs are kept, and all of the last 30 days.",
		Annotations: exitHelp(exitOK, exitUnexpected),
		Args:        cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			state, err := rollback.OpenStateDir(p.stateDir)
			if err != nil {
				return err
			}
			switch {
			case journal && len(args) != 1:
				return exitWith(exitUnexpected, "--journal needs the name of a run: `xfrm-plan status` lists them")
			case journal:
				return state.PrintJournal(p.out, args[0])
			case len(args) == 1:
				return p.statusOf(state, args[0])
			}
			return p.statusAll(state)
		},
	}
	c.Flags().BoolVar(&journal, "journal", false, "print the journal of the run")
	return c
}

func (p *program) statusAll(state *rollback.StateDir) error {
	runs, err := state.Runs()
	if err != nil {
		return err
	}
	boot, err := rollback.BootID()
	if err != nil {
		return err
	}
	type line struct {
		Run        string    `json:"run"`
		Plan       string    `json:"plan,omitempty"`
		NetNS      string    `json:"netns,omitempty"`
		Started    time.Time `json:"started,omitzero"`
		State      string    `json:"state"`
		Done       int       `json:"done"`
		Groups     int       `json:"groups"`
		Unreadable string    `json:"unreadable,omitempty"`
	}
	all := []line{}
	for _, run := range runs {
		past, err := state.ReadJournal(run)
		if err != nil {
			all = append(all, line{Run: run, State: "unreadable", Unreadable: err.Error()})
			continue
		}
		l := line{Run: run, Plan: past.Header.Plan, NetNS: past.Header.NetNS, Started: past.Header.Started, State: past.State(boot),
			Done: past.Done(), Groups: len(past.Transactions)}
		all = append(all, l)
	}
	if p.json() {
		return json.NewEncoder(p.out).Encode(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(p.out, "No runs yet.")
	}
	for _, l := range all {
		fmt.Fprintf(p.out, "%s  %-10s %d of %d groups done  %s%s\n", l.Run, l.State, l.Done, l.Groups, l.Plan, l.Unreadable)
	}
	return nil
}

func (p *program) statusOf(state *rollback.StateDir, run string) error {
	past, err := state.ReadJournal(run)
	if err != nil {
		return err
	}
	boot, err := rollback.BootID()
	if err != nil {
		return err
	}
	report, err := state.ReadReport(run)
	if err != nil {
		return err
	}
	if p.json() {
		return json.NewEncoder(p.out).Encode(struct {
			rollback.Header
			State  string           `json:"state"`
			Report *executor.Report `json:"report,omitempty"`
		}{past.Header, past.State(boot), report})
	}
	fmt.Fprintf(p.out, "Run %s of plan %s: %s\n", run, past.Header.Plan, past.State(boot))
	for i := range past.Transactions {
		t := &past.Transactions[i]
		fmt.Fprintf(p.out, "  %-10s %s (%d SAs, %d policies)\n", outcomeOf(past, t.Name), t.Name, len(t.Moves), len(t.Policies))
	}
	if report == nil {
		return nil
	}
	for _, g := range report.Groups {
		for _, text := range g.Problems {
			fmt.Fprintf(p.out, "  %s: %s\n", g.Name, text)
		}
	}
	longest, _ := report.Longest()
	fmt.Fprintf(p.out, "  longest interruption %s\n", review.Duration(longest))
	return nil
}

func outcomeOf(past *rollback.Past, group string) string {
	if o, ok := past.Outcomes[group]; ok {
		return string(o)
	}
	return "in flight"
}
