package plan_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// BenchmarkCompute computes plans for hubs with that many dual-stack Child SAs, all of which move: two SAs and six
// policies each, as strongSwan makes them.
func BenchmarkCompute(b *testing.B) {
	for _, n := range []int{500, 5000, 50000} {
		b.Run(fmt.Sprintf("children=%d", n), func(b *testing.B) {
			inv := hub(n)
			doc := ispSwap()
			b.ReportAllocs()
			for b.Loop() {
				if p := plan.Compute(doc, inv); len(p.Groups) != n || len(p.Refusals) != 0 {
					b.Fatalf("%d groups, refusals %v", len(p.Groups), p.Refusals)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(inv.SAs)), "ns/SA")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(inv.SAs)+len(inv.Policies)), "ns/object")
		})
	}
}

// TestMemoryOfALargePlan: inventory and plan of 50,000 Child SAs take at most 600 MiB in all, garbage included.
func TestMemoryOfALargePlan(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	runtime.GC()
	inv := hub(50000)
	p := plan.Compute(ispSwap(), inv)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if mib := (m.HeapSys - m.HeapReleased) >> 20; mib > 600 {
		t.Errorf("%d MiB of heap, %d of them in use", mib, m.HeapAlloc>>20)
	} else {
		t.Logf("%d MiB of heap, %d of them in use", mib, m.HeapAlloc>>20)
	}
	if c := p.Counts(); c.Calls != len(inv.SAs) || c.Rewrites != len(inv.Policies) {
		t.Errorf("counts: %+v", c)
	}
	runtime.KeepAlive(inv)
}

// hub is the inventory of a hub with n peers. Policies are dumped the youngest first.
func hub(n int) *plan.Inventory {
	local := netip.MustParseAddr("192.0.2.1")
	inv := &plan.Inventory{
		SAs: make([]xfrm.SA, 0, 2*n), Policies: make([]xfrm.Policy, 0, 6*n), Addresses: []netip.Addr{local},
	}
	for i := n - 1; i >= 0; i-- {
		remote := netip.AddrFrom4([4]byte{100, 64 + byte(i>>16), byte(i >> 8), byte(i)})
		reqid := uint32(i + 1)
		sa := func(src, dst netip.Addr, spi uint32, dir xfrm.SADir) xfrm.SA {
			return xfrm.SA{
				ID:  xfrm.SAID{Dst: xfrm.AddressFrom(dst), SPI: xfrm.SPI(spi), Family: xfrm.FamilyIPv4, Proto: xfrm.ProtoESP},
				Src: xfrm.AddressFrom(src), Reqid: reqid, Mode: xfrm.ModeTunnel, Dir: dir, CPU: xfrm.AnyCPU, HasAlgorithm: true,
				Limits: xfrm.NoLimits,
			}
		}
		in, out := sa(remote, local, 0xc0000000+uint32(i), xfrm.SADirIn), sa(local, remote, 0xc8000000+uint32(i)*7, xfrm.SADirOut)
		inv.SAs = append(inv.SAs, out, in)
		inner := [16]byte{0xfd, 2, 0, 0, 0, 0, byte(i >> 8), byte(i), byte(i >> 16)}
		sels := []xfrm.Selector{
			xfrm.SelectorFor(netip.MustParsePrefix("fd01::/64"), netip.PrefixFrom(netip.AddrFrom16(inner), 80)),
			xfrm.SelectorFor(netip.MustParsePrefix("10.0.0.0/24"), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)}), 32)),
		}
		for k, sel := range sels {
			for _, dir := range []xfrm.Dir{xfrm.DirFwd, xfrm.DirIn, xfrm.DirOut} {
				p := xfrm.Policy{
					Sel: sel, Limits: xfrm.NoLimits, Priority: 375423 - uint32(k), Dir: dir, Index: uint32(i*2+k)<<3 | uint32(dir),
					Templates: []xfrm.Template{{Dst: out.ID.Dst, SPI: out.ID.SPI, Proto: xfrm.ProtoESP, Family: xfrm.FamilyIPv4,
						Src: out.Src, Reqid: reqid, Mode: xfrm.ModeTunnel}},
				}
				if dir != xfrm.DirOut {
					p.Sel = sel.Reversed()
					p.Templates[0].Dst, p.Templates[0].Src, p.Templates[0].SPI = in.ID.Dst, in.Src, 0
				}
				inv.Policies = append(inv.Policies, p)
			}
		}
	}
	return inv
}
