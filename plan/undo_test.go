package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestUndoTakesOverridesBack applies random overrides to SAs of every kind, looks whether each SA that moved has what was
// set, and undoes the plan.
func TestUndoTakesOverridesBack(t *testing.T) {
	refused, set := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t, 2)
		for i := range inv.SAs {
			drawAttributes(t, &inv.SAs[i])
		}
		inv.Links = []plan.Link{{Name: "eth1", Index: 4}}
		doc := ispSwap()
		doc.Renumber = drawRules(t, false)
		c := drawChanges(t)
		overriding(c)(doc)
		p := plan.Compute(doc, inv)
		if len(p.Refusals) != 0 {
			refused++
			return
		}
		before, k := kernelOf(inv), kernelOf(inv)
		if err := k.apply(p); err != nil {
			t.Fatalf("%v\n%+v", err, p.Groups)
		}
		for gi := range p.Groups {
			for i := range p.Groups[gi].Calls {
				call := &p.Groups[gi].Calls[i]
				at := k.lookup(call.Migration.Target(), call.Migration.TargetMark())
				checkChanges(t, &c, call.Dir, &k.sas[at[0]])
				set++
			}
		}
		if err := k.undo(p); err != nil {
			t.Fatalf("undo: %v", err)
		}
		if diff := cmp.Diff(before.state(), k.state()); diff != "" {
			t.Fatalf("undone (-want +got):\n%s", diff)
		}
	})
	if set < refused/8 {
		t.Errorf("of the plans drawn %d were refused, and only %d SAs were moved: the test tests nothing", refused, set)
	}
}

// drawAttributes gives an SA what an SA of its protocol and direction can have besides addresses.
func drawAttributes(t *rapid.T, sa *xfrm.SA) {
	if sa.ID.Proto == xfrm.ProtoESP && rapid.Bool().Draw(t, "encapsulated") {
		sa.Encap = xfrm.Encap{Type: xfrm.EncapESPinUDP, SPort: 4500, DPort: pick(t, "port", []uint16{4500, 1024})}
		if rapid.Bool().Draw(t, "peer behind NAT") {
			sa.Encap.OA = xfrm.AddressFrom(remotes4[0])
		}
		switch sa.Dir {
		case xfrm.SADirOut:
			sa.NATKeepalive = pick(t, "keepalive", []uint32{0, 20})
		case xfrm.SADirIn:
			sa.MTimer = pick(t, "mapping age", []uint32{0, 60})
		}
	}
	sa.OutputMark = pick(t, "output mark", []xfrm.Mark{{}, {Value: 1, Mask: 3}})
	if rapid.IntRange(0, 3).Draw(t, "offloaded") == 0 {
		sa.Offload = xfrm.Offload{IfIndex: 3}
	}
}

func drawChanges(t *rapid.T) (c plan.Changes) {
	c.Encap = pick(t, "set.encap", []*plan.EncapChange{nil, {None: true}, {LocalPort: 4500, RemotePort: 4501}})
	c.NATKeepalive = pick(t, "set.natKeepalive", []*uint32{nil, nil, ptr(uint32(0)), ptr(uint32(20)), ptr(uint32(30))})
	c.MappingMaxAge = pick(t, "set.mappingMaxAge", []*uint32{nil, nil, ptr(uint32(0)), ptr(uint32(30)), ptr(uint32(60))})
	c.OutputMark = pick(t, "set.outputMark", []*xfrm.Mark{nil, {}, {Value: 1, Mask: 3}, {Value: 2, Mask: 3}})
	c.Mark = pick(t, "set.mark", []*xfrm.Mark{nil, nil, nil, {Value: 1, Mask: 3}, {}})
	c.Reqid = pick(t, "set.reqid", []*uint32{nil, nil, ptr(uint32(1)), ptr(uint32(70))})
	c.Offload = pick(t, "set.offload", []*plan.OffloadChange{nil, {None: true}, {Dev: "eth1"}, {Dev: "eth1", Packet: true}})
	if rapid.IntRange(0, 3).Draw(t, "set.selector") == 0 {
		c.Selector = &plan.SelectorChange{Kind: plan.SelectorHostToHost}
	}
	return c
}

// checkChanges looks whether an SA that moved has what the plan sets, as far as it is for such an SA.
func checkChanges(t *rapid.T, c *plan.Changes, dir xfrm.SADir, sa *xfrm.SA) {
	encapsulated := sa.Encap.Type != xfrm.EncapNone
	for _, w := range []struct {
		what string
		ok   bool
	}{
		{"reqid", c.Reqid == nil || sa.Reqid == *c.Reqid},
		{"mark", c.Mark == nil || sa.Mark == *c.Mark},
		{"output mark", c.OutputMark == nil || sa.OutputMark == *c.OutputMark},
		{"no encapsulation", c.Encap == nil || !c.Encap.None || sa.Encap == (xfrm.Encap{})},
		{"ports", c.Encap == nil || c.Encap.None || sa.ID.Proto != xfrm.ProtoESP ||
			encapsulated && sa.Encap.SPort == portOf(c.Encap, dir == xfrm.SADirIn) && sa.Encap.DPort == portOf(c.Encap, dir != xfrm.SADirIn)},
		{"keepalive", c.NATKeepalive == nil || dir != xfrm.SADirOut || !encapsulated || sa.NATKeepalive == *c.NATKeepalive},
		{"mapping age", c.MappingMaxAge == nil || dir != xfrm.SADirIn || !encapsulated || sa.MTimer == *c.MappingMaxAge},
		{"offload", c.Offload == nil || c.Offload.None == (sa.Offload.IfIndex == 0)},
	} {
		if !w.ok {
			t.Fatalf("%s: set %+v, and the SA is %+v", w.what, *c, *sa)
		}
	}
}

func portOf(e *plan.EncapChange, remote bool) uint16 {
	if remote {
		return e.RemotePort
	}
	return e.LocalPort
}
