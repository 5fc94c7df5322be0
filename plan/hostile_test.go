package plan_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestNoInventoryPanics draws inventories that no kernel has: every field takes values of its own, from few, so that
// they meet.
func TestNoInventoryPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := &plan.Inventory{
			SAs:       rapid.SliceOfN(rapid.Custom(anySA), 0, 8).Draw(t, "SAs"),
			Policies:  rapid.SliceOfN(rapid.Custom(anyPolicy), 0, 8).Draw(t, "policies"),
			Addresses: locals4,
		}
		doc := ispSwap()
		doc.Renumber = drawRules(t, true)
		if rapid.Bool().Draw(t, "overrides") {
			hostToHost(doc)
			doc.Overrides[0].Set.Mark = ptr(anyMark(t))
			doc.Overrides[0].Set.Reqid = ptr(uint32(1))
		}
		p := plan.Compute(doc, inv)
		for i := range p.Groups {
			for j := range p.Groups[i].Calls {
				p.Groups[i].Calls[j].Inverse()
			}
			plan.Tied(p.Groups[i].Policies)
		}
	})
}

func anySA(t *rapid.T) xfrm.SA {
	return xfrm.SA{
		ID: xfrm.SAID{
			Dst: anyAddress(t), SPI: xfrm.SPI(rapid.IntRange(0, 2).Draw(t, "SPI")), Family: anyFamily(t),
			Proto: pick(t, "protocol", []xfrm.Proto{xfrm.ProtoESP, xfrm.ProtoESP, xfrm.ProtoComp, 4}),
		},
		Src: anyAddress(t), Sel: anySelector(t), Reqid: uint32(rapid.IntRange(0, 2).Draw(t, "reqid")), Mode: anyMode(t),
		Mark: anyMark(t), IfID: uint32(rapid.IntRange(0, 1).Draw(t, "if_id")), Dir: xfrm.SADir(rapid.IntRange(0, 3).Draw(t, "direction")),
		HasAlgorithm: rapid.IntRange(0, 5).Draw(t, "has keys") > 0,
	}
}

func anyPolicy(t *rapid.T) xfrm.Policy {
	p := xfrm.Policy{
		Sel: anySelector(t), Priority: uint32(rapid.IntRange(0, 1).Draw(t, "priority")), Index: rapid.Uint32Range(0, 40).Draw(t, "index"),
		Dir: xfrm.Dir(rapid.IntRange(0, 3).Draw(t, "direction")), Mark: anyMark(t), IfID: uint32(rapid.IntRange(0, 1).Draw(t, "if_id")),
		Type: xfrm.PolicyType(rapid.IntRange(0, 1).Draw(t, "type")),
	}
	for range rapid.IntRange(0, 3).Draw(t, "templates") {
		p.Templates = append(p.Templates, xfrm.Template{
			Dst: anyAddress(t), Src: anyAddress(t), Family: anyFamily(t), SPI: xfrm.SPI(rapid.IntRange(0, 2).Draw(t, "SPI")),
			Proto: pick(t, "protocol", []xfrm.Proto{xfrm.ProtoESP, xfrm.ProtoComp, xfrm.ProtoAny}),
			Reqid: uint32(rapid.IntRange(0, 2).Draw(t, "reqid")), Mode: anyMode(t),
		})
	}
	return p
}

func anyAddress(t *rapid.T) xfrm.Address {
	if rapid.IntRange(0, 3).Draw(t, "wildcard") == 0 {
		return xfrm.Address{}
	}
	return xfrm.AddressFrom(pick(t, "address", append(append(locals4[:2:2], remotes4[:2]...), remotes6[0])))
}

func anyFamily(t *rapid.T) xfrm.Family {
	return pick(t, "family", []xfrm.Family{xfrm.FamilyIPv4, xfrm.FamilyIPv4, xfrm.FamilyIPv6, xfrm.FamilyUnspec, 77})
}

func anyMode(t *rapid.T) xfrm.Mode {
	return pick(t, "mode", []xfrm.Mode{xfrm.ModeTransport, xfrm.ModeTunnel, xfrm.ModeBEET, 200})
}

func anyMark(t *rapid.T) xfrm.Mark {
	return pick(t, "mark", []xfrm.Mark{{}, {}, {Value: 1, Mask: 1}, {Value: 3, Mask: 1}, {Value: 2, Mask: 0xff}})
}

func anySelector(t *rapid.T) xfrm.Selector {
	length := rapid.SampledFrom([]uint8{0, 8, 24, 32, 33, 128, 129, 255})
	return xfrm.Selector{
		Dst: anyAddress(t), Src: anyAddress(t), Family: anyFamily(t), DstLen: length.Draw(t, "length"), SrcLen: length.Draw(t, "length"),
		Proto: pick(t, "protocol", []uint8{0, 6, 17}), User: pick(t, "user", []uint32{0, 0, 0, xfrm.Tag}),
	}
}
