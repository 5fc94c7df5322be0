//go:build lab

package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
	"github.com/xfrm-plan/xfrm-plan/test/section"
)

var (
	crashes = flag.Int("crashes", 10, "how often the program is killed; make soak kills 300 times")
	update  = flag.Bool("update", false, "leave what was done for docs/soak.md")
)

// nothingToRecover is how recover says so.
const nothingToRecover = "Nothing to recover"

// perCapture is how many kills one capture holds.
const perCapture = 20

// TestRecoverBringsEverythingBackAfterKill kills apply at random instants between its first event and its last, while every
// tunnel carries traffic, and recovers. It compares what `ip xfrm` shows with what it showed before: every SA, every policy with
// its index, nothing else, and no counter gone back. Then traffic has to pass each tunnel both ways, and what was on the wire is
// looked at.
func TestRecoverBringsEverythingBackAfterKill(t *testing.T) {
	g := newGateway(t, tunnels)
	w := tap(t)
	traffic := startTraffic(t)
	traffic.flowing(t, "before")
	before := g.snap(t)
	span := g.apply(t, -1)
	moved := g.snap(t)
	g.program(t, 0, "rollback", "--yes")
	g.same(t, before, "after a whole run and its rollback")
	span = min(span, g.apply(t, -1)) // the first one warms caches
	g.program(t, 0, "rollback", "--yes")
	end, limited := t.Deadline()
	killed, amid, byAge, ended := 0, 0, 0, 0
	for i := range *crashes {
		if limited && time.Until(end) < time.Minute {
			t.Logf("the time is over before %d kills", *crashes)
			break
		}
		killed++
		delay := time.Duration(rand.Int64N(int64(span)))
		g.apply(t, delay)
		left := halfDone(g.snap(t))
		said := g.program(t, 0, "recover", "--yes")
		nothing := strings.Contains(said, nothingToRecover)
		if !nothing {
			amid++
			if slices.ContainsFunc(left, tied) {
				byAge++
			}
		}
		after := g.snap(t)
		if nothing && after.SameUnderTraffic(moved) == nil { // its end was on disk
			ended++
			g.program(t, 0, "rollback", "--yes")
			after = g.snap(t)
		}
		when := fmt.Sprintf("crash %d, %v into a run of %v, with tunnels %v half done", i, delay, span, left)
		if err := after.SameUnderTraffic(before); err != nil {
			t.Fatalf("%s: %v\n%s", when, err, said)
		}
		traffic.flowing(t, when)
		if i%10 == 0 {
			if again := g.program(t, 0, "recover", "--yes"); !strings.Contains(again, nothingToRecover) {
				t.Errorf("%s: a second recovery says %q", when, again)
			}
		}
		if i%perCapture == perCapture-1 {
			w.check(t)
			w.start(t)
			t.Logf("%d kills: %d amid the work of a run, %d of them by age, %d after its end; %d ESP packets", killed, amid, byAge, ended, w.esp)
		}
	}
	w.check(t)
	text := fmt.Sprintf("%d kills within the %v of a run of %d Child SAs: %d amid its work, %d of them when a tunnel whose policies stand in an order of age was half done, "+
		"%d after its end. %d packets on the wire, %d of them ESP, %d of these from the new address; %d datagrams came back.\n",
		killed, span.Round(time.Millisecond), tunnels, amid, byAge, ended, w.packets, w.esp, w.moved, traffic.replies())
	t.Log(text)
	if amid == 0 {
		t.Error("no kill found the work half done: they came too early or too late")
	}
	if *update && !t.Failed() {
		if err := (section.Section{Name: "kills", Text: text}).Save(); err != nil {
			t.Error(err)
		}
	}
}

// halfDone lists the tunnels of which the program has left a block behind.
func halfDone(s topo.Snapshot) (all []int) {
	for i := range tunnels {
		for _, ipv6 := range []bool{false, true} {
			to := fmt.Sprintf(" dst %v/", client(i, ipv6))
			if slices.ContainsFunc(s.Policies, func(p topo.Policy) bool { return p.Action == "block" && strings.Contains(p.Selector+" ", to) }) {
				all = append(all, i)
				break
			}
		}
	}
	return all
}

// TestRecoverForwardFinishesTheRun goes on after a kill.
func TestRecoverForwardFinishesTheRun(t *testing.T) {
	g := newGateway(t, tunnels)
	before := g.snap(t)
	span := g.apply(t, -1)
	moved := g.snap(t)
	g.program(t, 0, "rollback", "--yes")
	for range max(1, *crashes/10) {
		delay := span/8 + time.Duration(rand.Int64N(int64(span/2)))
		g.apply(t, delay)
		if g.snap(t).Same(before) != nil {
			g.program(t, 0, "recover", "--forward", "--yes")
			g.same(t, moved, "recover --forward")
		}
		g.program(t, 0, "rollback", "--yes")
		g.same(t, before, "rollback of what was recovered forward")
	}
}
