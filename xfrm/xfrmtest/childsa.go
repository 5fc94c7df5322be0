package xfrmtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// ChildSA is what strongSwan installs for a dual-stack Child SA in tunnel mode: an SA each way with an empty selector,
// and six policies that share its reqid: IPv4 and IPv6, each in, fwd and out.
type ChildSA struct {
	In, Out       xfrm.SA
	InAlg, OutAlg Algorithms
	Policies      []xfrm.Policy
}

// Tunnels says which Child SAs ChildSAs makes.
type Tunnels struct {
	N             int // up to 32768
	First         int // number of the first; each number has addresses, SPIs, keys and reqid (number + 1) of its own
	Local, Remote netip.Addr
	SPIInTemplate bool // put the outbound SA's SPI into the out templates, as strongSwan does
	Dir           bool // say the SAs' direction
	Mark          xfrm.Mark
	IfID          uint32
}

// Priority is what strongSwan gives a policy from a /24 to a /24 or from a /64 to a /64, in the middle.
const Priority = 371327

// ChildSAs makes Child SAs between the two outer addresses. Equal Tunnels give equal Child SAs.
func ChildSAs(t Tunnels) []ChildSA {
	all := make([]ChildSA, t.N)
	for i := range all {
		all[i] = t.child(t.First + i)
	}
	return all
}

func (t *Tunnels) child(i int) ChildSA {
	const inSPI, outSPI = 0xc1000000, 0xc2000000
	c := ChildSA{
		In:    t.sa(t.Remote, t.Local, xfrm.SPI(inSPI+i), uint32(i+1)),
		Out:   t.sa(t.Local, t.Remote, xfrm.SPI(outSPI+i), uint32(i+1)),
		InAlg: testKeys(inSPI + uint64(i)), OutAlg: testKeys(outSPI + uint64(i)),
	}
	c.In.Window = 32
	if t.Dir {
		c.In.Dir, c.Out.Dir = xfrm.SADirIn, xfrm.SADirOut
	}
	v4 := xfrm.SelectorFor(
		netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255)), netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255)))
	v6 := xfrm.SelectorFor(
		netip.MustParsePrefix(fmt.Sprintf("fd00:1:%x::/64", i)), netip.MustParsePrefix(fmt.Sprintf("fd00:2:%x::/64", i)))
	for _, out := range []xfrm.Selector{v4, v6} {
		c.Policies = append(c.Policies,
			t.policy(out, xfrm.DirOut, &c.Out), t.policy(out.Reversed(), xfrm.DirIn, &c.In), t.policy(out.Reversed(), xfrm.DirFwd, &c.In))
	}
	return c
}

func (t *Tunnels) sa(src, dst netip.Addr, spi xfrm.SPI, reqid uint32) xfrm.SA {
	return xfrm.SA{
		ID:  xfrm.SAID{Dst: xfrm.AddressFrom(dst), SPI: spi, Family: xfrm.FamilyOf(dst), Proto: xfrm.ProtoESP},
		Src: xfrm.AddressFrom(src), Limits: xfrm.NoLimits, Reqid: reqid, Mode: xfrm.ModeTunnel,
		Flags: stateAFUnspec, Mark: t.Mark, IfID: t.IfID, CPU: xfrm.AnyCPU,
	}
}

func (t *Tunnels) policy(sel xfrm.Selector, dir xfrm.Dir, sa *xfrm.SA) xfrm.Policy {
	const all = ^uint32(0)
	tmpl := xfrm.Template{
		Src: sa.Src, Dst: sa.ID.Dst, Family: sa.ID.Family, Proto: sa.ID.Proto, Reqid: sa.Reqid, Mode: sa.Mode, AAlgos: all, EAlgos: all, CAlgos: all,
	}
	if dir == xfrm.DirOut && t.SPIInTemplate {
		tmpl.SPI = sa.ID.SPI
	}
	return xfrm.Policy{
		Sel: sel, Limits: xfrm.NoLimits, Priority: Priority, Dir: dir, Templates: []xfrm.Template{tmpl}, Mark: t.Mark, IfID: t.IfID,
	}
}

// testKeys are AES-GCM keys that no two SAs share, so that a test can look for each of them where no key may be.
func testKeys(seed uint64) Algorithms {
	r := rand.New(rand.NewPCG(seed, 0x6b657973))
	key := make([]byte, 20) // AES-128 and four bytes of salt
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	return Algorithms{AEAD: &Algorithm{Name: "rfc4106(gcm(aes))", Key: key, ICV: 128}}
}

// Requests installs the Child SA: SAs first, so that no policy ever wants one.
func (c *ChildSA) Requests() []xfrm.Request {
	all := []xfrm.Request{NewSA(c.In, c.InAlg), NewSA(c.Out, c.OutAlg)}
	for i := range c.Policies {
		all = append(all, xfrm.NewPolicy(&c.Policies[i]))
	}
	return all
}

// Install adds Child SAs to a kernel, real or in memory.
func Install(c *xfrm.Conn, all ...ChildSA) error {
	for i := range all {
		for _, err := range c.Do(all[i].Requests()...) {
			if err != nil {
				return fmt.Errorf("child SA %d: %w", i, err)
			}
		}
	}
	return nil
}
