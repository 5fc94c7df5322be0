package plan_test

import (
	"encoding/binary"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// FuzzCompute decodes SAs and policies from bytes, as a kernel's dump would be, and computes plans for them: whatever
// an inventory holds, there is a plan or there are refusals, and never a panic or a group without a place in a wave.
//
// The input is a series of records: a byte for the kind, two for the length, and a dump message's payload.
func FuzzCompute(f *testing.F) {
	inv := hub(1)
	var seed []byte
	for i := range inv.Policies {
		seed = appendRecord(seed, 1, inv.Policies[i].AppendTo(nil))
	}
	sa := make([]byte, 224) // struct xfrm_usersa_info
	copy(sa[56:], []byte{192, 0, 2, 1})
	copy(sa[80:], []byte{203, 0, 113, 1})
	sa[72], sa[76] = 0xc0, byte(xfrm.ProtoESP)
	binary.NativeEndian.PutUint16(sa[212:], uint16(xfrm.FamilyIPv4))
	seed = appendRecord(seed, 0, append(sa, 4, 0, xfrm.AttrAlgAEAD, 0))
	f.Add(seed, uint8(0))
	f.Add(appendRecord(seed, 0, append(sa, 4, 0, xfrm.AttrAlgAEAD, 0)), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		inv := decodeInventory(b)
		doc := ispSwap()
		switch kind % 4 {
		case 1:
			toIPv6(doc)
		case 2:
			doc.Renumber = []plan.Renumber{rule("192.0.2.1/32", "203.0.113.1/32"), rule("203.0.113.1/32", "192.0.2.1/32")}
		case 3:
			hostToHost(doc)
			doc.Overrides[0].Set.Encap = &plan.EncapChange{LocalPort: 4500, RemotePort: 1}
			doc.Overrides[0].Set.Mark = &xfrm.Mark{Value: 3, Mask: 1}
		}
		p := plan.Compute(doc, inv)
		groups := 0
		for _, w := range p.Waves {
			groups += len(w.Groups)
		}
		if groups != len(p.Groups) {
			t.Errorf("%d groups, %d of them in waves", len(p.Groups), groups)
		}
		names := map[string]bool{}
		for i := range p.Groups {
			if g := &p.Groups[i]; names[g.Name] {
				t.Errorf("two groups %q", g.Name)
			} else {
				names[g.Name] = true
			}
			for _, before := range p.Groups[i].After {
				if before >= i {
					t.Errorf("group %d waits for %d", i, before)
				}
			}
		}
		p.Counts()
	})
}

func appendRecord(b []byte, kind byte, payload []byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

func decodeInventory(b []byte) *plan.Inventory {
	inv := new(plan.Inventory)
	for len(b) >= 3 {
		kind, n := b[0], min(int(binary.LittleEndian.Uint16(b[1:])), len(b)-3)
		payload := b[3 : 3+n]
		b = b[3+n:]
		if kind&1 == 0 {
			if sa, err := xfrm.DecodeSA(payload); err == nil {
				inv.SAs = append(inv.SAs, sa)
			}
		} else if p, err := xfrm.DecodePolicy(payload); err == nil && !p.IsSocket() {
			inv.Policies = append(inv.Policies, p)
		}
	}
	return inv
}
