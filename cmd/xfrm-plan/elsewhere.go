package main

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// elsewhere tells of runs in other network namespaces that wait for recover: who looks in the wrong one must not go away
// with "nothing to do".
func (p *program) elsewhere(u *undo) (text string, err error) {
	runs, err := u.state.Runs()
	if err != nil {
		return "", err
	}
	for _, run := range runs {
		past, err := u.state.ReadJournal(run)
		if err != nil || past.Header.Cookie == u.cookie || len(past.Transactions) == 0 {
			continue
		}
		if s, err := u.state.Standing(past); err != nil {
			return "", err
		} else if s.State == rollback.Unfinished {
			text += fmt.Sprintf(" Run %s %s did not come to its end: %s there.", run, whereOf(past), toType("recover", past.Header.NetNS))
		}
	}
	return text, nil
}

// whereOf names the network namespace of a run.
func whereOf(past *rollback.Past) string {
	if past.Header.NetNS == "" {
		return "in the network namespace in which apply was started"
	}
	return "in network namespace " + past.Header.NetNS
}
