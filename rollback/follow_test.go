package rollback_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// TestFollowerSeesWhatReadingTheWholeShows follows a journal through all that can become of it.
func TestFollowerSeesWhatReadingTheWholeShows(t *testing.T) {
	w, run, journal := written(t)
	f := w.state.Follow(run)
	see := func(what string) *rollback.Summary {
		t.Helper()
		got, err := f.Look()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		want, err := w.state.Summary(run)
		if err != nil {
			t.Fatal(err)
		}
		if got.State(w.boot) != want.State(w.boot) || got.Begun != want.Begun || len(got.Resumed) != len(want.Resumed) || got.Torn != want.Torn {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
		return got
	}
	see("as written")
	w.rewrite(t, run, journal[:len(journal)-1])
	see("with a torn end")
	j, err := w.state.Resume(run, executor.Undone, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	see("resumed")
	if err := j.End(); err != nil {
		t.Fatal(err)
	}
	if !see("ended").Ended {
		t.Error("it does not see the end")
	}
	if err := os.Remove(filepath.Join(w.state.RunDir(run), "journal")); err != nil {
		t.Fatal(err)
	}
	w.rewrite(t, run, journal)
	if see("written anew").Ended {
		t.Error("it takes another file for the one it knows")
	}
	journal[len(journal)-1] ^= 1
	w.rewrite(t, run, journal)
	if _, err := w.state.Follow(run).Look(); !errors.Is(err, rollback.ErrUnusable) {
		t.Errorf("a damaged journal: %v", err)
	}
}
