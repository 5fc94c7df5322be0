package rollback_test

import (
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// TestLaterIntentOfAGroupTakesTheEarliersPlace: a group that was re-keyed before it was touched is computed again. What was meant at
// first must not be undone or finished.
func TestLaterIntentOfAGroupTakesTheEarliersPlace(t *testing.T) {
	w := newWorld(t, shapes[0])
	const run = "20260101T000000Z-0001"
	j, err := w.state.Create(rollback.Header{Run: run, BootID: w.boot, NetNS: w.netns, Cookie: w.k.Cookie(), Started: time.Unix(1_790_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	first := []executor.Transaction{{Name: "a", Moves: make([]executor.Move, 2)}, {Name: "b"}}
	if err := j.Intend(first); err != nil {
		t.Fatal(err)
	}
	if err := j.Intend([]executor.Transaction{{Name: "a", Moves: make([]executor.Move, 3)}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	past, err := w.state.ReadJournal(run)
	if err != nil || len(past.Transactions) != 2 || past.Transactions[0].Name != "a" || len(past.Transactions[0].Moves) != 3 || past.Transactions[1].Name != "b" {
		t.Errorf("%v, %+v", err, past.Transactions)
	}
}
