package plan_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestPlanDoesWhatItSays applies random plans to a simulated kernel and compares with the specification; then it undoes
// them.
func TestPlanDoesWhatItSays(t *testing.T) {
	refused, changed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 6)
		doc := ispSwap()
		doc.Renumber = drawRules(t, true)
		doc.Waves = []plan.WaveSpec{{Name: "first", Count: 1}, {Name: "rest", Percent: 100}}
		p := plan.Compute(doc, inv)
		if len(p.Refusals) != 0 {
			refused++
			return
		}
		if !p.Empty() {
			changed++
		}
		before, k, want := kernelOf(inv), kernelOf(inv), kernelOf(inv)
		if err := k.apply(p); err != nil {
			t.Fatalf("%v\n%+v", err, p.Groups)
		}
		spec(doc.Renumber).apply(want)
		if diff := cmp.Diff(want.state(), k.state()); diff != "" {
			t.Fatalf("applied (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before.ties(), k.ties()); diff != "" {
			t.Fatalf("order of age (-before +after):\n%s", diff)
		}
		if err := k.undo(p); err != nil {
			t.Fatalf("undo: %v", err)
		}
		if diff := cmp.Diff(before.state(), k.state()); diff != "" {
			t.Fatalf("undone (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before.ties(), k.ties()); diff != "" {
			t.Fatalf("order of age, undone (-before +after):\n%s", diff)
		}
	})
	if changed < refused/4 {
		t.Errorf("of the plans drawn %d were refused and only %d changed something: the test tests nothing", refused, changed)
	}
}

// TestOneCallForEachSAThatChanges looks at the plan alone.
func TestOneCallForEachSAThatChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 6)
		doc := ispSwap()
		doc.Renumber = drawRules(t, true)
		p := plan.Compute(doc, inv)
		if len(p.Refusals) != 0 {
			return
		}
		type key struct {
			id   xfrm.SAID
			mark xfrm.Mark
		}
		calls := map[key]int{}
		for i := range p.Groups {
			for j := range p.Groups[i].Calls {
				sa := p.Groups[i].Calls[j].SA
				calls[key{sa.ID, sa.Mark}]++
			}
			checkRewrites(t, &p.Groups[i])
		}
		s := spec(doc.Renumber)
		for i := range inv.SAs {
			sa := &inv.SAs[i]
			want := 0
			if !sa.Larval() && (s.addr(sa.SrcIP()) != sa.SrcIP() || s.addr(sa.DstIP()) != sa.DstIP()) {
				want = 1
			}
			if got := calls[key{sa.ID, sa.Mark}]; got != want {
				t.Fatalf("%d calls for SA %v, want %d", got, sa.ID, want)
			}
		}
	})
}

// checkRewrites fails if a policy is rewritten for no reason: its template and selector stay, and no older one of its
// priority that overlaps is.
func checkRewrites(t *rapid.T, g *plan.Group) {
	for i := range g.Policies {
		pc := &g.Policies[i]
		if pc.New == nil || !pc.New.Same(pc.Old) {
			continue
		}
		reason := slices.ContainsFunc(g.Policies[:i], func(o plan.PolicyChange) bool {
			touched := o.New != nil || o.Old.Dir == xfrm.DirOut && o.Old.Priority == 0
			return touched && compete(o.Old, pc.Old)
		})
		if !reason {
			t.Fatalf("policy %v %v is rewritten as it is for no reason", pc.Old.Dir, pc.Old.Sel)
		}
	}
}

// TestChildSAsMoveAsAWhole draws selections.
func TestChildSAsMoveAsAWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 2)
		doc := ispSwap()
		doc.Renumber = drawRules(t, false)
		for range rapid.IntRange(1, 3).Draw(t, "conditions") {
			m := plan.Match{}
			if rapid.Bool().Draw(t, "by SPI") {
				m.SPI = ptr(xfrm.SPI(rapid.IntRange(1, 9).Draw(t, "SPI")))
			} else {
				m.Reqid = ptr(uint32(rapid.IntRange(1, 2).Draw(t, "reqid") + rapid.SampledFrom([]int{0, reqidEachWay}).Draw(t, "way")))
			}
			if rapid.Bool().Draw(t, "include") {
				doc.Select.Include = append(doc.Select.Include, m)
			} else {
				doc.Select.Exclude = append(doc.Select.Exclude, m)
			}
		}
		p := plan.Compute(doc, inv)
		if len(p.Refusals) != 0 {
			return
		}
		moved := map[uint32]int{}
		for i := range p.Groups {
			for j := range p.Groups[i].Calls {
				moved[childOf(p.Groups[i].Calls[j].SA)]++
			}
		}
		s, could := spec(doc.Renumber), map[uint32]int{}
		for i := range inv.SAs {
			if sa := &inv.SAs[i]; !sa.Larval() && (s.addr(sa.SrcIP()) != sa.SrcIP() || s.addr(sa.DstIP()) != sa.DstIP()) {
				could[childOf(sa)]++
			}
		}
		for child, n := range moved {
			if n != could[child] {
				t.Fatalf("%d of the %d SAs of Child SA %d move", n, could[child], child)
			}
		}
	})
}

// TestSecondComputationIsEmpty: a plan that was applied has nothing left to do.
func TestSecondComputationIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 6)
		doc := ispSwap()
		doc.Renumber = drawRules(t, false)
		p, k := plan.Compute(doc, inv), kernelOf(inv)
		if len(p.Refusals) != 0 {
			return
		}
		if err := k.apply(p); err != nil {
			t.Fatal(err)
		}
		if again := plan.Compute(doc, k.inventory(inv)); !again.Empty() || len(again.Refusals) != 0 {
			t.Fatalf("still to do: %+v", again)
		}
	})
}

// TestOrderOfTheDumpDoesNotCount: the same plan comes of the same SAD and SPD in any order, but for that of policies of
// one priority, which is their age.
func TestOrderOfTheDumpDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 6)
		doc := ispSwap()
		doc.Renumber = drawRules(t, true)
		shuffled := &plan.Inventory{
			SAs:       rapid.Permutation(inv.SAs).Draw(t, "SAs"),
			Policies:  rapid.Permutation(inv.Policies).Draw(t, "policies"),
			Addresses: rapid.Permutation(inv.Addresses).Draw(t, "addresses"),
		}
		slices.SortStableFunc(shuffled.Policies, func(a, b xfrm.Policy) int { return int(a.Priority) - int(b.Priority) })
		byAge := slices.Clone(inv.Policies)
		slices.SortStableFunc(byAge, func(a, b xfrm.Policy) int { return int(a.Priority) - int(b.Priority) })
		if len(kernelOf(inv).ties()) != 0 {
			shuffled.Policies = byAge
		}
		want, got := plan.Compute(doc, inv), plan.Compute(doc, shuffled)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(xfrm.Policy{}, xfrm.Selector{}, xfrm.Template{}), cmp.Comparer(sameAddr)); diff != "" {
			t.Fatalf("shuffled (-want +got):\n%s", diff)
		}
	})
}
