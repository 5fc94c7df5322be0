package rollback_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// written runs an apply of two tunnels that is killed when the SAs of the second have moved, and returns its journal.
func written(t testing.TB) (w *world, run string, journal []byte) {
	t.Helper()
	w = newWorld(t, shapes[0], shapes[1])
	points := faultless(t, shapes[0], shapes[1])
	var last point
	for _, at := range points {
		if !at.journal && at.at == xfrmtest.AfterSend && slices.Contains(at.types, xfrm.MsgMigrateState) {
			last = at
		}
	}
	p := start(processFaults(last)[0])
	if _, err := w.apply(p); err == nil || p.alive() {
		t.Fatal("the run was not killed")
	}
	runs, err := w.state.Runs()
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	b, err := os.ReadFile(filepath.Join(w.state.RunDir(runs[0]), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	return w, runs[0], b
}

func (w *world) rewrite(t testing.TB, run string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.state.RunDir(run), "journal"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestJournalTornAnywhereKeepsWhatIsWhole cuts the journal after every byte.
func TestJournalTornAnywhereKeepsWhatIsWhole(t *testing.T) {
	_, _, journal := written(t)
	before := -1
	for n := range len(journal) + 1 {
		past, err := rollback.Parse(journal[:n])
		switch {
		case err != nil && before >= 0:
			t.Fatalf("cut to %d of %d bytes: %v", n, len(journal), err)
		case err != nil && errors.Is(err, rollback.ErrUnusable):
			t.Fatalf("cut to %d bytes, within its header: %v, want that it never began", n, err)
		case err == nil && len(past.Transactions) < before:
			t.Fatalf("cut to %d bytes: %d transactions, fewer than in less", n, len(past.Transactions))
		case err == nil:
			before = len(past.Transactions)
		}
	}
	if before != 2 {
		t.Errorf("%d transactions in the end, want 2", before)
	}
}

// TestJournalWithAFlippedBitIsDamaged flips every bit, those of lengths among them: read as a longer frame, one in the
// middle would pass for a torn end, and the intents behind it would be forgotten.
func TestJournalWithAFlippedBitIsDamaged(t *testing.T) {
	w, run, journal := written(t)
	for i := range journal {
		for bit := range 8 {
			b := bytes.Clone(journal)
			b[i] ^= 1 << bit
			if _, err := rollback.Parse(b); !errors.Is(err, rollback.ErrUnusable) {
				t.Fatalf("bit %d of byte %d: %v, want that it is damaged", bit, i, err)
			}
		}
	}
	journal[len(journal)/2] ^= 1
	w.rewrite(t, run, journal)
	if open, err := w.state.Unfinished(w.k.Cookie()); err != nil || len(open) != 1 {
		t.Errorf("a damaged journal is %v, %v; want it to be unfinished", open, err)
	}
}

func TestJournalOfANewerFormatIsNotMisread(t *testing.T) {
	w, run, _ := written(t)
	b := rollback.WithVersion(99)
	w.rewrite(t, run, b)
	_, err := w.state.ReadJournal(run)
	_, unfinished := w.state.Unfinished(w.k.Cookie())
	for _, err := range []error{err, unfinished} {
		if !errors.Is(err, rollback.ErrVersion) || errors.Is(err, rollback.ErrUnusable) || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("got %v", err)
		}
	}
}

func TestJournalOfAnotherUserOrASymlinkIsRefused(t *testing.T) {
	w, run, journal := written(t)
	path := filepath.Join(w.state.RunDir(run), "journal")
	for _, tt := range []struct {
		name  string
		spoil func() error
	}{
		{"others may write to it", func() error { return os.Chmod(path, 0o666) }},
		{"a symlink", func() error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}},
		{"a second name", func() error { return os.Link(path, path+".link") }},
		{"a fifo", func() error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) }},
		{"a directory behind a symlink", func() error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir))
		}},
		{"somebody else's", func() error {
			if os.Geteuid() != 0 {
				return os.Chmod(path, 0o620)
			}
			return os.Chown(path, 4711, 4711)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.RemoveAll(filepath.Dir(path))
			os.RemoveAll(filepath.Dir(path) + ".real")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			w.rewrite(t, run, journal)
			if err := tt.spoil(); err != nil {
				t.Fatal(err)
			}
			past, err := w.state.ReadJournal(run)
			if !errors.Is(err, rollback.ErrUnsafe) {
				t.Errorf("read it: %v, %v", past, err)
			} else if !strings.Contains(err.Error(), "; ") {
				t.Errorf("it does not say what to do: %v", err)
			}
		})
	}
}

func TestRunsAreNamedWithoutPaths(t *testing.T) {
	w, _, _ := written(t)
	for _, run := range []string{"", ".", "..", "../../etc", "a/b", "/etc"} {
		if _, err := w.state.ReadJournal(run); err == nil || !strings.Contains(err.Error(), "not the name of a run") {
			t.Errorf("run %q: %v", run, err)
		}
	}
}

// TestDamagedJournalIsRecoveredByTags has a run that died under its blocks and then lost its journal: what is whole is
// unblocked, what isn't is named and stays.
func TestDamagedJournalIsRecoveredByTags(t *testing.T) {
	w, run, journal := written(t)
	journal[len(journal)/2] ^= 1
	w.rewrite(t, run, journal)
	c := w.k.Dial()
	defer c.Close()
	left, err := executor.Left(c)
	if err != nil || left == 0 {
		t.Fatalf("%d policies left behind, %v", left, err)
	}
	_, err = executor.Orphans(c)
	now, _ := executor.Left(c)
	if (err == nil) != (now == 0) {
		t.Errorf("%d of %d are left, and it says %v", now, left, err)
	}
	w.watch.look()
	for _, wrong := range w.watch.wrong {
		t.Error(wrong)
	}
	if err := w.state.SetAside(run); err != nil {
		t.Fatal(err)
	}
	if open, err := w.state.Unfinished(w.k.Cookie()); err != nil || len(open) != 0 {
		t.Errorf("unfinished %v, %v after the journal was set aside", open, err)
	}
	var out bytes.Buffer
	if err := w.state.PrintJournal(&out, run); err != nil || !strings.Contains(out.String(), "damaged") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestDamageBehindTheIntentsLeavesThemToGoBy has garbage at the end of the journal of a run that died with its second tunnel
// blocked in place, where no tag can tell what the policy was.
func TestDamageBehindTheIntentsLeavesThemToGoBy(t *testing.T) {
	for _, towards := range []executor.Outcome{executor.Undone, executor.Done} {
		t.Run(string(towards), func(t *testing.T) {
			w, run, journal := written(t)
			w.rewrite(t, run, append(journal, make([]byte, 40)...))
			c := w.k.Dial()
			defer c.Close()
			if latest, err := w.state.Latest(w.k.Cookie()); err != nil || latest != run {
				t.Fatalf("the latest run is %q, %v", latest, err)
			}
			past, err := w.state.Salvage(run, c)
			if err != nil || past == nil || len(past.Transactions) != 2 {
				t.Fatalf("salvaged %+v, %v; want both transactions", past, err)
			}
			report, err := w.state.Settle(t.Context(), past, towards, c, w.hear)
			if err != nil || report.Count(towards) != 2 {
				t.Fatalf("%+v, %v", report, err)
			}
			w.watch.settled(w.outcomes(report))
			if n, err := executor.Orphans(c); n != 0 || err != nil {
				t.Errorf("%d policies were left behind, %v", n, err)
			}
			if past, err := w.state.Salvage(run, c); past != nil || err != nil {
				t.Errorf("salvaged once more, when nothing is half done: %+v, %v", past, err)
			}
			for _, wrong := range w.watch.wrong {
				t.Error(wrong)
			}
		})
	}
}

// TestDamagedIntentLeavesItsBlockInPlace has lost what the policy was: the block stays, and is told with the way out.
func TestDamagedIntentLeavesItsBlockInPlace(t *testing.T) {
	w, run, journal := written(t)
	journal[len(journal)-1] ^= 1 // in the intent of the second tunnel
	w.rewrite(t, run, journal)
	c := w.k.Dial()
	defer c.Close()
	if past, err := w.state.Salvage(run, c); past != nil || err != nil {
		t.Errorf("salvaged %+v, %v; what the kernel holds is of a group that the journal doesn't tell of", past, err)
	}
	_, err := executor.Orphans(c)
	for _, want := range []string{"10.0.1.0/24 -> 10.128.1.0/24", "ip xfrm policy update src 10.0.1.0/24 dst 10.128.1.0/24 dir out", "don't delete the block"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	w.watch.look()
	for _, wrong := range w.watch.wrong {
		t.Error(wrong)
	}
}

// TestRunKilledBeforeItsJournalDoesNotBlockTheNext has a run of which only the directory was made.
func TestRunKilledBeforeItsJournalDoesNotBlockTheNext(t *testing.T) {
	w := newWorld(t, shapes[0])
	if err := os.Mkdir(w.state.RunDir("20261124T000000Z-0000"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := w.apply(start(fault{})); err != nil {
		t.Error(err)
	}
}

func TestPrintJournalSaysWhatWasMeant(t *testing.T) {
	w, run, _ := written(t)
	var out bytes.Buffer
	if err := w.state.PrintJournal(&out, run); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plan move", "boot boot-1", "SA esp 0xc1000000 to 192.0.2.1", "to 198.51.100.1", "policy out 10.0.0.0/24 -> 10.128.0.0/24", "+ src 198.51.100.1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestPruneKeepsAHundredRunsAndAMonth makes 130 old runs, of which the oldest is unfinished.
func TestPruneKeepsAHundredRunsAndAMonth(t *testing.T) {
	w := newWorld(t)
	now := time.Unix(1_800_000_000, 0)
	for i := range 130 {
		at := now.Add(time.Duration(i-130) * 24 * time.Hour)
		j, err := w.state.Create(rollback.Header{Run: at.UTC().Format("20060102T150405Z") + "-0000", BootID: w.boot, Cookie: 1, Started: at})
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			err = errors.Join(j.Intend([]executor.Transaction{{Name: "x"}}), j.Close())
		case 1: // whoever was at work on it was killed, and recover has ended it
			err = errors.Join(w.state.WriteProgress(at.UTC().Format("20060102T150405Z")+"-0000", rollback.Progress{}), j.End())
		default:
			err = j.End()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.state.Prune(now); err != nil {
		t.Fatal(err)
	}
	runs, err := w.state.Runs()
	if err != nil || len(runs) != 101 {
		t.Errorf("%d runs are left, %v; want the last 100 and the unfinished one", len(runs), err)
	}
}

// TestJournalSyncsOnceForAWave counts what a run costs the disk.
func TestJournalSyncsOnceForAWave(t *testing.T) {
	syncs, writes := 0, 0
	for _, at := range faultless(t, shapes[0], shapes[0], shapes[0]) {
		switch {
		case at.sync:
			syncs++
		case at.journal:
			writes++
		}
	}
	if syncs != 4 || writes != 7 {
		t.Errorf("%d syncs and %d writes; want 4 (header, two waves, end) and 7 (and three outcomes)", syncs, writes)
	}
}

func TestIntentsComeBackAsTheyWere(t *testing.T) {
	w, run, _ := written(t)
	past, err := w.state.ReadJournal(run)
	if err != nil {
		t.Fatal(err)
	}
	tx := past.Transactions[0]
	if len(tx.Moves) != 2 || len(tx.Policies) != 6 || tx.Moves[0].Mode != xfrm.ModeTunnel {
		t.Fatalf("got %+v", tx)
	}
	if again := tx.Reversed(); again.Moves[1].There != tx.Moves[0].Back {
		t.Errorf("reversed: %+v", again)
	}
}

// TestResumeOnAFullDisk settles a run that is unfinished anyway, and leaves alone one that was over.
func TestResumeOnAFullDisk(t *testing.T) {
	w, run, _ := written(t)
	full := func(rollback.File) rollback.File { return fullDisk{} }
	c := w.k.Dial()
	defer c.Close()
	past, err := w.state.ReadJournal(run)
	if err != nil {
		t.Fatal(err)
	}
	w.state.BreakFiles(full)
	report, err := w.state.Settle(t.Context(), past, executor.Undone, c, w.hear)
	if !errors.Is(err, unix.ENOSPC) || report == nil || report.Count(executor.Undone) != 2 {
		t.Fatalf("settled %+v, %v; want both groups undone, and to hear of the disk", report, err)
	}
	w.watch.settled(w.outcomes(report))
	past.Ended = true
	if report, err := w.state.Settle(t.Context(), past, executor.Done, c, w.hear); report != nil || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a run that was over: %+v, %v", report, err)
	}
	for _, wrong := range w.watch.wrong {
		t.Error(wrong)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, unix.ENOSPC }
func (fullDisk) Sync() error               { return nil }
func (fullDisk) Close() error              { return nil }

var _ io.Writer = fullDisk{}
