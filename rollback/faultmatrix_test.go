package rollback_test

import (
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/test/section"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

var (
	update = flag.Bool("update", false, "put what was run into docs/, and run all of the matrix")
	whole  = flag.Bool("whole", false, "run all pairs of the matrix, not every 29th, and all of what is to be confirmed")
)

// tally counts the cells of the matrix by world and kind of fault.
type tally struct {
	mu     sync.Mutex
	rows   []string
	cells  map[string]int
	failed map[string]int
}

func (ta *tally) add(row string, failed bool) {
	ta.mu.Lock()
	defer ta.mu.Unlock()
	if ta.cells == nil {
		ta.cells, ta.failed = map[string]int{}, map[string]int{}
	}
	if ta.cells[row] == 0 {
		ta.rows = append(ta.rows, row)
	}
	ta.cells[row]++
	if failed {
		ta.failed[row]++
	}
}

var numbers = regexp.MustCompile(` of tunnel \d+`)

// each runs cells on all CPUs.
func each(t *testing.T, ta *tally, row func(cell) string, cells []cell) {
	t.Helper()
	next := make(chan cell)
	var workers sync.WaitGroup
	var mu sync.Mutex
	said, begun := 0, 0
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for c := range next {
				wrong, _ := c.run(t)
				ta.add(row(c), len(wrong) != 0)
				mu.Lock()
				if len(wrong) != 0 && said < 10 {
					said++
					t.Errorf("%v:\n\t%s", c, strings.Join(wrong, "\n\t"))
				}
				mu.Unlock()
			}
		})
	}
	for _, c := range cells {
		if begun++; begun%5000 == 0 {
			t.Logf("%d cells begun", begun)
		}
		next <- c
	}
	close(next)
	workers.Wait()
}

// TestFaultMatrix puts every fault at every point of a run, and every pair of a fault with one in the recovery that
// follows, and asks an oracle that knows only the kernel's tables and what becomes of packets.
func TestFaultMatrix(t *testing.T) {
	ta := new(tally)
	for _, s := range shapes {
		t.Run("one tunnel, "+s.name, func(t *testing.T) {
			each(t, ta, func(c cell) string { return "1 tunnel, " + s.name + "\t" + kind(c.first) }, singles(t, s))
		})
	}
	t.Run("three tunnels", func(t *testing.T) {
		each(t, ta, func(c cell) string { return "3 tunnels\t" + kind(c.first) }, singles(t, shapes[0], shapes[1], shapes[2]))
	})
	t.Run("a hundred tunnels", func(t *testing.T) {
		all := singles(t, inTurn(100)...)
		each(t, ta, func(c cell) string { return "100 tunnels, thinned\t" + kind(c.first) }, every(all, len(all)/30+1))
	})
	t.Run("pairs", func(t *testing.T) {
		for _, s := range shapes {
			all := pairs(t, s)
			if !*whole && !*update {
				all = every(all, 29)
			}
			each(t, ta, func(c cell) string { return "1 tunnel, " + s.name + ", then a crash in the recovery\t" + kind(c.first) }, all)
		}
	})
	t.Run("forward", func(t *testing.T) {
		for _, s := range shapes {
			all := singles(t, s)
			for i := range all {
				all[i].towards = executor.Done
			}
			each(t, ta, func(c cell) string { return "1 tunnel, " + s.name + ", recover --forward\t" + kind(c.first) }, all)
		}
	})
	t.Run("confirmation", func(t *testing.T) {
		for _, s := range shapes {
			row := func(world string) func(cell) string {
				return func(c cell) string { return "1 tunnel, " + s.name + ", " + world + "\t" + kind(c.first) }
			}
			all, undo := singles(t, s), timed(t, s, (*world).expire)
			for i := range all {
				all[i].within = longEnough
			}
			if !*whole && !*update {
				all, undo = every(all, 7), every(undo, 7)
			}
			each(t, ta, row("to be confirmed"), all)
			each(t, ta, row("while it is confirmed"), timed(t, s, (*world).confirm))
			each(t, ta, row("while the watchdog undoes it"), undo)
		}
	})
	table := ta.String()
	t.Logf("\n%s", table)
	publish(t, "reliability.md", section.Section{Name: "faults", Text: table})
}

// publish puts what was run into a document, if -update says so and nothing failed.
func publish(t *testing.T, document string, s section.Section) {
	t.Helper()
	if !*update || t.Failed() {
		return
	}
	if err := section.Publish("../docs/"+document, s); err != nil {
		t.Error(err)
	}
}

func every(all []cell, n int) (some []cell) {
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

func kind(f fault) string {
	name := numbers.ReplaceAllString(f.name, " of a tunnel")
	if f.at.journal {
		return name + " (journal)"
	}
	return name
}

// singles lists every fault at every point of an apply.
func singles(t *testing.T, shapes ...shape) (all []cell) {
	w := newWorld(t, shapes...)
	for _, at := range faultless(t, shapes...) {
		for _, f := range faultsAt(w, at) {
			all = append(all, cell{shapes: shapes, first: f})
		}
	}
	return all
}

// pairs lists for every fault that leaves something to recover the crashes at every point of the recovery where the
// kernel or the journal has got on.
func pairs(t *testing.T, s shape) (all []cell) {
	seen := map[string]bool{}
	for _, c := range singles(t, s) {
		if !c.first.at.journal && c.first.at.at == xfrmtest.AfterReceive || c.first.name == "reboot" || c.first.name == "namespace deleted" {
			continue
		}
		_, points := c.run(t)
		for _, at := range points {
			if !at.journal && at.at == xfrmtest.AfterReceive {
				continue
			}
			for _, f := range faultsAt(newWorldFor(s), at) {
				if !strings.HasPrefix(f.name, "kill") && f.name != "SIGTERM" && f.name != "lost ACK, 0 kept" && f.name != "ENOBUFS" {
					continue
				}
				pair := cell{shapes: []shape{s}, first: c.first, second: f}
				if !seen[pair.String()] {
					seen[pair.String()] = true
					all = append(all, pair)
				}
			}
		}
	}
	return all
}

// newWorldFor is enough of a world to list faults.
func newWorldFor(shapes ...shape) *world { return &world{shapes: shapes} }

func (ta *tally) String() string {
	var b strings.Builder
	rows := slices.Clone(ta.rows)
	slices.Sort(rows)
	fmt.Fprintf(&b, "| world | fault | cells | passed |\n|---|---|---:|---:|\n")
	cells, failed := 0, 0
	for _, r := range rows {
		world, fault, _ := strings.Cut(r, "\t")
		fmt.Fprintf(&b, "| %s | %s | %d | %d |\n", world, fault, ta.cells[r], ta.cells[r]-ta.failed[r])
		cells += ta.cells[r]
		failed += ta.failed[r]
	}
	fmt.Fprintf(&b, "| **all** | | **%d** | **%d** |\n", cells, cells-failed)
	return b.String()
}
