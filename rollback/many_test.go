package rollback_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// TestRunsThatAreOverCostNoDecoding: recover looks for what is unfinished while traffic is blocked, and whoever waits for
// a confirmation looks four times a second.
func TestRunsThatAreOverCostNoDecoding(t *testing.T) {
	w, run, _ := written(t)
	past, err := w.state.ReadJournal(run)
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	txs := make([]executor.Transaction, n)
	for i := range txs {
		txs[i] = past.Transactions[0]
		txs[i].Name = fmt.Sprint(i)
	}
	const over = "20261125T000000Z-0001"
	j, err := w.state.Create(rollback.Header{Run: over, BootID: w.boot, NetNS: w.netns, Cookie: w.k.Cookie(), Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Intend(txs), j.End()); err != nil {
		t.Fatal(err)
	}
	followed := w.state.Follow(over)
	for _, tt := range []struct {
		name string
		do   func() error
	}{
		{"Unfinished", func() error { _, err := w.state.Unfinished(w.k.Cookie()); return err }},
		{"Bygone", func() error { _, err := w.state.Bygone(w.netns, w.k.Cookie()); return err }},
		{"Awaiting", func() error { _, err := w.state.Awaiting(); return err }},
		{"Latest", func() error { _, err := w.state.Latest(w.k.Cookie()); return err }},
		{"Look", func() error { _, err := followed.Look(); return err }},
	} {
		allocs := testing.AllocsPerRun(10, func() {
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > n/2 {
			t.Errorf("%s allocates %v times with %d transactions that are over", tt.name, allocs, n)
		}
	}
}
