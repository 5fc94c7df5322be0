package rollback_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// countingFile counts the operations on a journal.
type countingFile struct {
	rollback.File
	ops *[]string
}

func (f countingFile) Write(b []byte) (int, error) {
	*f.ops = append(*f.ops, fmt.Sprintf("write of %d MiB", len(b)>>20))
	return f.File.Write(b)
}

func (f countingFile) Sync() error {
	*f.ops = append(*f.ops, "sync")
	return f.File.Sync()
}

// TestIntentsOfManyTunnelsAreWrittenInPieces: the memory that a run takes does not grow with its waves for this, and
// there is one sync for all.
func TestIntentsOfManyTunnelsAreWrittenInPieces(t *testing.T) {
	w := newWorld(t, shapes[0])
	var ops []string
	w.state.BreakFiles(func(f rollback.File) rollback.File { return countingFile{f, &ops} })
	const run = "20261124T000001Z-0000"
	j, err := w.state.Create(rollback.Header{Run: run, BootID: w.boot, NetNS: w.netns, Cookie: w.k.Cookie(), Started: time.Unix(1_790_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	ops = nil
	txs := make([]executor.Transaction, 5)
	for i := range txs {
		txs[i].Name = string(bytes.Repeat([]byte{byte('a' + i)}, 600<<10))
	}
	if err := j.Intend(txs); err != nil {
		t.Fatal(err)
	}
	if want := []string{"write of 1 MiB", "write of 1 MiB", "write of 0 MiB", "sync"}; !slices.Equal(ops, want) {
		t.Errorf("%v, want %v", ops, want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(w.state.RunDir(run), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	past, err := rollback.Parse(b)
	if err != nil || len(past.Transactions) != len(txs) {
		t.Fatalf("%d transactions read back, %v; want %d", len(past.Transactions), err, len(txs))
	}
	for i := range txs {
		if past.Transactions[i].Name != txs[i].Name {
			t.Errorf("transaction %d was written as another", i)
		}
	}
}
