package rollback_test

import (
	"errors"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// FuzzParse feeds the reader of journals with anything. It must not panic, not take more memory than what it reads is
// worth, and never find more intents than were written in front of the damage.
func FuzzParse(f *testing.F) {
	_, _, journal := written(f)
	f.Add(journal)
	f.Add(journal[:len(journal)-3])
	f.Add(rollback.WithVersion(2))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		past, err := rollback.Parse(b)
		if err == nil && past.Header.Version != 1 {
			t.Errorf("read a journal of version %d", past.Header.Version)
		}
		if err != nil && past == nil {
			t.Error("no Past with an error")
		}
		if errors.Is(err, rollback.ErrUnusable) && past.Ended && len(b) == 0 {
			t.Error("an empty journal has ended")
		}
	})
}
