package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/schema"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// The exit codes of every command.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitChanges     = 2
	exitInvalid     = 3
	exitHostCannot  = 4
	exitRefused     = 5
	exitBusy        = 6
	exitUndone      = 7
	exitNotUndone   = 8
	exitUnconfirmed = 9
	exitInterrupted = 130
)

var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done, or nothing to do"},
	{exitUnexpected, "unexpected error; nothing is claimed"},
	{exitChanges, "plan --detailed-exitcode: there are changes"},
	{exitInvalid, "the plan is invalid"},
	{exitHostCannot, "this host can't: kernel, capability, preflight check, outside the window"},
	{exitRefused, "refused: conflict, drift since the plan was saved, or something that the plan has to decide"},
	{exitBusy, "another run holds the lock, or an unfinished run needs `recover` first"},
	{exitUndone, "failed and undone: the kernel is as before, but for what onError: stop or continue, or another network namespace, has done"},
	{exitNotUndone, "failed and not undone: something stays blocked or lost, or its IKE daemon is left behind; the report lists it"},
	{exitUnconfirmed, "not confirmed in time, undone"},
	{exitInterrupted, "interrupted, undone as onError says"},
}

// usageEnd closes the help of a command with the codes that it can end with.
const usageEnd = `{{with index .Annotations "exit"}}
Exit status:
{{.}}{{end}}`

// exitHelp makes the rows of the table for usageEnd.
func exitHelp(codes ...int) map[string]string {
	var b strings.Builder
	for _, m := range exitMeanings {
		if slices.Contains(codes, m.code) {
			fmt.Fprintf(&b, "  %-4d %s\n", m.code, m.meaning)
		}
	}
	return map[string]string{"exit": b.String()}
}

// exitError is an error that says how the program ends.
type exitError struct {
	code int
	err  error // nil if everything has been said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exitWith(code int, format string, a ...any) error {
	return &exitError{code, fmt.Errorf(format, a...)}
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var exit *exitError
	var invalid *schema.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &invalid), errors.Is(err, schema.ErrInsecure), errors.Is(err, schema.ErrNotRegular):
		return exitInvalid
	case errors.Is(err, xfrm.ErrNotPermitted), errors.Is(err, xfrm.ErrNotSupported), errors.Is(err, xfrm.ErrNoXFRM),
		errors.Is(err, unix.EPERM), // a capability is missing; of files it is EACCES
		errors.Is(err, rollback.ErrUnsafe), errors.Is(err, host.ErrRestless):
		return exitHostCannot
	case errors.Is(err, rollback.ErrLocked), errors.Is(err, rollback.ErrVersion), errors.Is(err, rollback.ErrOtherDir):
		return exitBusy
	}
	return exitUnexpected
}

// exitOfRun is how apply ends after a run.
func exitOfRun(r *executor.Report, err error) int {
	switch {
	case err == nil:
		return exitOK
	case r.Unsettled() != 0:
		return exitNotUndone
	case r.Interrupted:
		return exitInterrupted
	}
	return exitUndone
}
