package main

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// journalOf is a whole journal that has nothing but a header.
func journalOf(t *testing.T, header map[string]any) []byte {
	t.Helper()
	payload, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	payload = append([]byte{'H'}, payload...)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := func(b []byte) uint32 { return crc32.Update(crc32.Checksum(make([]byte, 4), table), table, b) }
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, sum(b))
	return append(binary.LittleEndian.AppendUint32(b, sum(payload)), payload...)
}

// TestJournalOfAnotherFormatStopsAll has the journal of a run that is half done be another program's: what it left behind
// is not to be guessed.
func TestJournalOfAnotherFormatStopsAll(t *testing.T) {
	s := newSite(t, 2)
	s.diesAt(1)
	s.runs(exitNotUndone, nil, "apply", "--yes", s.plan)
	before := s.h.kernel.Snapshot()
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(s.state.RunDir(s.last()), "journal")
	write := func(boot string, cookie uint64) {
		t.Helper()
		if err := os.WriteFile(journal, journalOf(t, map[string]any{"version": 2, "bootID": boot, "netnsCookie": cookie}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []string{boot, ""} {
		write(b, s.h.kernel.Cookie())
		says := []string{"version 2 and this program knows version 1: use the program that wrote it"}
		s.runs(exitBusy, says, "recover", "--yes")
		s.runs(exitBusy, says, "recover", "--forward", "--yes")
		s.runs(exitBusy, says, "rollback", "--yes")
		s.runs(exitBusy, says, "apply", "--yes", s.plan)
		if !reflect.DeepEqual(s.h.kernel.Snapshot(), before) {
			t.Error("the kernel was touched")
		}
		if _, err := os.Stat(journal); err != nil {
			t.Error(err)
		}
	}
	// What another boot or namespace took along stands in nobody's way.
	write("another", s.h.kernel.Cookie())
	s.runs(exitOK, []string{"2 left-over policies removed"}, "recover", "--yes")
	write(boot, 1)
	s.runs(exitOK, []string{"Nothing to recover"}, "recover", "--yes")
}

// TestRollbackBesideAnUnfinishedRun names a run that is over while a later one is half done.
func TestRollbackBesideAnUnfinishedRun(t *testing.T) {
	s := newSite(t, 3)
	s.runs(exitOK, nil, "apply", "--yes", s.plan)
	first := s.last()
	s.diesAt(2)
	s.runs(exitNotUndone, nil, "apply", "--yes", s.onward)
	before := s.h.kernel.Snapshot()
	s.runs(exitBusy, []string{"run " + s.last() + " did not come to its end: run `xfrm-plan recover"}, "rollback", "--yes", first)
	if !reflect.DeepEqual(s.h.kernel.Snapshot(), before) {
		t.Error("the kernel was touched")
	}
	s.runs(exitOK, nil, "recover", "--yes")
	s.isAt("198.51.100.1", 6)
	s.runs(exitOK, []string{"3 of 3 groups are at the old"}, "rollback", "--yes", first)
	s.isAt("192.0.2.1", 6)
}

// TestRollbackOfARunThatAnotherHasMovedOn undoes in the order in which it was done, or not at all.
func TestRollbackOfARunThatAnotherHasMovedOn(t *testing.T) {
	s := newSite(t, 2)
	s.runs(exitOK, nil, "apply", "--yes", s.plan)
	first := s.last()
	s.runs(exitOK, nil, "apply", "--yes", s.onward)
	s.runs(exitRefused, []string{"run " + s.last() + " has moved tunnels of run " + first + " on"}, "rollback", "--yes", first)
	s.isAt("198.51.100.9", 4)
	s.runs(exitOK, nil, "rollback", "--yes")
	s.isAt("198.51.100.1", 4)
	s.runs(exitOK, nil, "rollback", "--yes", first)
	s.isAt("192.0.2.1", 4)
	s.runs(exitOK, []string{"Nothing to undo"}, "rollback", "--yes", first)
}

// TestRollbackDoesNotTakeADamagedRunForNone flips a bit of the last run's journal: the run before it is not the last one.
func TestRollbackDoesNotTakeADamagedRunForNone(t *testing.T) {
	s := newSite(t, 2)
	s.runs(exitOK, nil, "apply", "--yes", s.plan)
	first := s.last()
	s.runs(exitOK, nil, "apply", "--yes", s.onward)
	journal := filepath.Join(s.state.RunDir(s.last()), "journal")
	b, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(journal, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"rollback", "--yes"}, {"rollback", "--yes", first}, {"rollback", "--yes", s.last()}} {
		s.runs(exitBusy, []string{"run " + s.last() + " did not come to its end"}, args...)
	}
	s.isAt("198.51.100.9", 4)
}

// TestRollbackOfTunnelsThatAreGone says so, and forgets nothing.
func TestRollbackOfTunnelsThatAreGone(t *testing.T) {
	s := newSite(t, 2)
	s.runs(exitOK, nil, "apply", "--yes", s.plan)
	for _, sa := range s.h.kernel.Snapshot().SAs {
		if err := s.h.kernel.DeleteSA(sa.ID, sa.Mark); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.h.kernel.FlushPolicies(); err != nil {
		t.Fatal(err)
	}
	s.runs(exitOK, []string{"0 of 2 groups are at the old addresses, of 2 the kernel holds no sign"}, "rollback", "--yes")
	s.runs(exitOK, []string{"2 of 2 groups done"}, "status")
}

// TestRollbackTellsOfRunsElsewhere: who looks in the wrong namespace must not go away with "nothing to undo".
func TestRollbackTellsOfRunsElsewhere(t *testing.T) {
	s := newSite(t, 1)
	boot, err := rollback.BootID()
	if err != nil {
		t.Fatal(err)
	}
	const run = "20261124T000000Z-0001"
	j, err := s.state.Create(rollback.Header{Run: run, Plan: "p", BootID: boot, Cookie: 999, NetNS: "wan", Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Intend([]executor.Transaction{{Name: "g"}}); err != nil {
		t.Fatal(err)
	}
	j.Settled("g", executor.Done)
	if err := j.End(); err != nil {
		t.Fatal(err)
	}
	s.runs(exitOK, []string{"Nothing to undo", "Run " + run + " was in network namespace wan: `xfrm-plan rollback " + run + " --state-dir " + s.dir + " --netns wan` undoes it there"}, "rollback", "--yes")
}
