package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// What the shell offers where a word is wanted. Failing silently is right here: the command itself will say why.

func anyRun(*rollback.Past) bool        { return true }
func awaitingRun(p *rollback.Past) bool { return p.Awaits() }
func movedRun(p *rollback.Past) bool {
	return len(p.Transactions) != 0 && (!p.Ended || p.Done() != 0)
}

// complete says what is offered for flags and where nothing is; files are offered for all other words.
func complete(root *cobra.Command) {
	offer := func(c *cobra.Command, flag string, offers cobra.CompletionFunc) {
		if err := c.RegisterFlagCompletionFunc(flag, offers); err != nil {
			panic(err) // there is no such flag
		}
	}
	offer(root, "output", cobra.FixedCompletions([]cobra.Completion{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	offer(root, "netns", completeNetNS)
	offer(root, "state-dir", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	for _, c := range root.Commands() {
		if c.Use == c.Name() { // it takes no words
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		for _, flag := range []string{"at", "confirm-within"} {
			if c.Flags().Lookup(flag) != nil {
				offer(c, flag, cobra.NoFileCompletions)
			}
		}
	}
}

// completeRuns offers the runs that fit, the last one first, with their plans.
func (p *program) completeRuns(fits func(*rollback.Past) bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const how = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if _, err := os.Stat(p.stateDir); err != nil || len(args) != 0 { // asking for a word makes no directory
			return nil, how
		}
		state, err := rollback.OpenStateDir(p.stateDir)
		if err != nil {
			return nil, how
		}
		runs, err := state.Runs()
		if err != nil {
			return nil, how
		}
		var offers []cobra.Completion
		for _, run := range slices.Backward(runs) {
			past, err := state.ReadJournal(run)
			if err != nil || !fits(past) {
				continue
			}
			if s, err := state.Standing(past); err == nil {
				offers = append(offers, cobra.CompletionWithDesc(run, past.Header.Plan+", "+s.State))
			}
		}
		return offers, how
	}
}

// netnsDir is where `ip netns` keeps the named network namespaces.
const netnsDir = "/run/netns"

func completeNetNS(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
