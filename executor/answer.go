package executor

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Answer is a request that the kernel refused, in the kernel's words.
type Answer struct {
	Request string `json:"request"`        // the message's name, such as "MIGRATE_STATE"
	Errno   string `json:"errno"`          // such as "EEXIST"
	Text    string `json:"text,omitempty"` // of the extended ACK, if there was one
}

// answersOf picks what the kernel answered out of an error that may join several.
func answersOf(err error) []Answer {
	if refusal, ok := err.(*xfrm.Error); ok { //nolint:errorlint // what is wrapped is walked below, all of it and not only the first
		return []Answer{{refusal.Op, unix.ErrnoName(refusal.Errno), refusal.Reason}}
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []Answer
		for _, err := range several.Unwrap() {
			all = append(all, answersOf(err)...)
		}
		return all
	}
	if inner := errors.Unwrap(err); inner != nil {
		return answersOf(inner)
	}
	return nil
}
