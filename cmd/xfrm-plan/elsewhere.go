package main

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// elsewhere tells of runs in other network namespaces that wait for recover: who looks in the wrong one must not go away
// with "nothing to do".
func (p *program) elsewhere(u *undo) (text string, err error) {
	err = u.state.Elsewhere(u.cookie, func(past *rollback.Past) error {
		s, err := u.state.Standing(past)
		if err == nil && s.State == rollback.Unfinished {
			text += fmt.Sprintf(" Run %s %s did not come to its end: %s there.", past.Header.Run, whereOf(&past.Header), p.toType("recover", past.Header.NetNS))
		}
		return err
	})
	return text, err
}

// movedElsewhere names the last run that could be undone in another network namespace.
func (p *program) movedElsewhere(u *undo) (text string, err error) {
	err = u.state.Elsewhere(u.cookie, func(past *rollback.Past) error {
		if h := &past.Header; movedRun(past) {
			text = fmt.Sprintf(" Run %s was %s: %s undoes it there.", h.Run, whereOf(h), p.toType("rollback "+h.Run, h.NetNS))
		}
		return nil
	})
	return text, err
}

// whereOf names the network namespace of a run.
func whereOf(h *rollback.Header) string {
	if h.NetNS == "" {
		return "in the network namespace in which apply was started"
	}
	return "in network namespace " + h.NetNS
}
