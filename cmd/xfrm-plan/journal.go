package main

import (
	"encoding/json"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// statusJournal prints the journal of the run that is named, or of the last one, record by record.
func (p *program) statusJournal(state *rollback.StateDir, args []string) error {
	run := ""
	if len(args) == 1 {
		run = args[0]
	} else {
		runs, err := state.Runs()
		if err != nil {
			return err
		}
		if len(runs) == 0 {
			return exitWith(exitUnexpected, "there is no run yet whose journal could be printed")
		}
		run = runs[len(runs)-1]
	}
	if !p.json() {
		return state.PrintJournal(p.out, run)
	}
	entries, err := state.Entries(run)
	if err != nil {
		return err
	}
	return json.NewEncoder(p.out).Encode(struct {
		Run     string           `json:"run"`
		Records []rollback.Entry `json:"records"`
	}{run, entries})
}
