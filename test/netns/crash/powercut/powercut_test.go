//go:build labhost

package powercut

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

var cuts = flag.Int("cuts", 2, "how often the power fails")

var errCut = errors.New("the power is cut")

// life is what a machine has said from power to power.
type life struct {
	found *message // of the life before
	moved []string // SPIs, in the order in which the kernel announced them
	ended bool
}

// TestJournalOnDiskKnowsAllThatWasTouched kills the emulator in the middle of a run, again and again, and starts it anew with the same
// disk, which has kept no more than what was synced. Every SA that the kernel had announced as moved, heard by a listener that knows
// nothing of the journal, must have its intent on the disk; recover must find nothing left to undo in the new boot, and change nothing.
func TestJournalOnDiskKnowsAllThatWasTouched(t *testing.T) {
	image := newDisk(t)
	var before life
	amid, heard := 0, 0
	for cut := range *cuts + 1 {
		after := 0
		if cut < *cuts {
			after = 1 + rand.IntN(2*tunnels-1) // two SAs a tunnel
		}
		now := live(t, image, after)
		if cut > 0 {
			check(t, cut, &before, now.found)
			if !before.ended {
				amid++
			}
			heard += len(before.moved)
		}
		before = now
	}
	t.Logf("%d power cuts, %d of them amid a run; %d SAs had been touched by then", *cuts, amid, heard)
	if amid == 0 {
		t.Error("no cut found a run half done")
	}
}

// live runs the machine until the kernel has announced a number of moved SAs, then takes its power away. With 0 it only looks.
func live(t *testing.T, image string, after int) (l life) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := lab.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	what := "look"
	if after > 0 {
		what = "apply"
	}
	ctx, cut := context.WithCancelCause(t.Context())
	defer cut(nil)
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<22)
		for lines.Scan() {
			var m message
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				continue // torn by the cut; a life that has nothing to say fails below
			}
			switch {
			case m.Moved != "":
				if l.moved = append(l.moved, m.Moved); len(l.moved) == after {
					cut(errCut)
				}
			case m.Recover != nil:
				l.found = &m
			}
			l.ended = l.ended || m.Ended
		}
		io.Copy(io.Discard, r)
	}()
	var stderr strings.Builder
	code, err := cache.Run(ctx, os.Stderr, lab.Spec{
		Args: []string{"/usr/bin/powercut"}, Env: []string{inMachine + "=" + what}, System: true, Timeout: 2 * time.Minute,
		Ship:   []lab.Ship{{Host: self, Guest: "/usr/bin/powercut"}, {Host: program, Guest: "/usr/bin/" + topo.Program}},
		Disk:   lab.Ship{Host: image, Guest: disk},
		Stdout: w, Stderr: &stderr,
	})
	w.Close()
	<-done
	// A cut that comes with the last words of the job finds it over.
	if (err != nil || code != 0) && !errors.Is(err, errCut) || after > 0 && len(l.moved) < after {
		t.Fatalf("exit status %d, %v, %d SAs moved\n%s", code, err, len(l.moved), stderr.String())
	}
	return l
}

// intents are the SAs of a printed journal.
var intents = regexp.MustCompile(`(?m)^ +SA (?:\S+ )*?(?:spi )?(0x[0-9a-f]{8})\b`)

// check compares what was heard before the cut with what was found after it.
func check(t *testing.T, cut int, before *life, found *message) {
	t.Helper()
	if found == nil {
		t.Fatalf("cut %d: the machine did not say what it found", cut)
	}
	if found.Changed != "" {
		t.Errorf("cut %d: recover changed the kernel of a new boot: %s", cut, found.Changed)
	}
	if len(found.Journal) != cut {
		t.Errorf("cut %d: %d journals on the disk, want one of each run", cut, len(found.Journal))
	}
	last := ""
	for run, text := range found.Journal {
		if strings.Contains(text, "damaged") {
			t.Errorf("cut %d: run %s\n%s", cut, run, text)
		}
		last = max(last, run)
	}
	text := found.Journal[last]
	intended := map[string]bool{}
	for _, m := range intents.FindAllStringSubmatch(text, -1) {
		intended[m[1]] = true
	}
	for _, spi := range before.moved {
		if !intended[spi] {
			t.Errorf("cut %d: SA %s was moved, and the journal on the disk does not know of it:\n%s", cut, spi, text)
			break
		}
	}
	t.Logf("cut %d: after %d of %d SAs, intents of %d on the disk", cut, len(before.moved), 2*tunnels, len(intended))
	const over, nothing = "have nothing left to undo", "Nothing to recover"
	if !before.ended && !strings.Contains(found.Recover[0], over) || !strings.Contains(found.Recover[0], nothing) {
		t.Errorf("cut %d: recover says %q", cut, found.Recover[0])
	}
	if strings.Contains(found.Recover[1], over) || !strings.Contains(found.Recover[1], nothing) {
		t.Errorf("cut %d: a second recover says %q", cut, found.Recover[1])
	}
}

// newDisk makes a disk with an empty ext4 file system, with a journal of its own as a gateway's has.
func newDisk(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(32<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	mke2fs := exec.Command("mke2fs", "-q", "-t", "ext4", "-O", "has_journal", image)
	mke2fs.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin") // not in everybody's
	if out, err := mke2fs.CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	return image
}
