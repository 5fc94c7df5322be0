package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// allocSPI is XFRM_MSG_ALLOCSPI: finds or makes a larval SA and gives it an SPI. The model counts up where the kernel
// rolls dice.
func (k *Kernel) allocSPI(r *request) *refusal {
	like, err := xfrm.DecodeSA(r.body[:sizeofUsersaInfo])
	if err != nil {
		return invalid("")
	}
	low, high := ne.Uint32(r.body[sizeofUsersaInfo:]), ne.Uint32(r.body[sizeofUsersaInfo+4:])
	switch {
	case like.ID.Proto == xfrm.ProtoComp && high >= 0x10000:
		return invalid("IPCOMP SPI must be <= 65535")
	case !hasSPI(like.ID.Proto):
		return invalid("Invalid protocol, must be one of AH, ESP, IPCOMP")
	case low > high:
		return invalid("Invalid SPI range: min > max")
	}
	mark := r.attrs.mark()
	cpu := r.attrs.u32(xfrm.AttrPCPU, xfrm.AnyCPU)
	if r.attrs[xfrm.AttrPCPU] != nil && cpu >= k.cpus {
		return invalid("pCPU number too big")
	}
	var x *state
	if seq := ne.Uint32(r.body[204:]); seq != 0 {
		x = k.sad.larvalBySeq(mark.Key(), seq, cpu)
		if x != nil && !sameAddress(x.sa.ID.Dst, like.ID.Dst, like.ID.Family) {
			x = nil
		}
	}
	if x == nil {
		n := k.newState()
		n.larval = true
		n.sa.ID, n.sa.Src, n.sa.Mode, n.sa.Reqid, n.sa.CPU = like.ID, like.Src, like.Mode, like.Reqid, cpu
		n.sa.ID.SPI = 0
		n.sa.IfID, n.sa.Mark = r.attrs.u32(xfrm.AttrIfID, 0), mark
		n.sa.Limits.HardAdd = acquireExpires
		n.sa.Sel = xfrm.Selector{Dst: like.ID.Dst, Src: like.Src, DstLen: uint8(like.ID.Family.Bits()), SrcLen: uint8(like.ID.Family.Bits())}
		n.sel = rawSelectorOf(&n.sa.Sel)
		if x = k.sad.findLarval(mark.Key(), n); x == nil {
			x = n
			k.insert(x)
		}
	}
	if x.sa.ID.SPI == 0 {
		spi := k.freeSPI(x.sa.ID.Proto, low, high)
		if spi == 0 {
			return refuse(unix.ENOENT, "No SPI available in the requested range")
		}
		x.sa.ID.SPI = spi
		k.sad.byTuple[x.tuple()] = append([]*state{x}, k.sad.byTuple[x.tuple()]...)
		k.changed()
	}
	if p := r.attrs[xfrm.AttrSADir]; p != nil {
		x.sa.Dir = xfrm.SADir(p[0])
	}
	r.reply(xfrm.MsgNewSA, x.encode())
	return nil
}

// acquireExpires is the sysctl xfrm_acq_expires: seconds that a larval SA lives.
const acquireExpires = 30

// freeSPI returns an SPI that no SA of the protocol has, whatever its destination.
func (k *Kernel) freeSPI(p xfrm.Proto, low, high uint32) xfrm.SPI {
	used := map[xfrm.SPI]bool{0: true}
	k.sad.each(func(x *state) bool {
		if x.sa.ID.Proto == p {
			used[x.sa.ID.SPI] = true
		}
		return true
	})
	for n := uint64(0); n <= uint64(high-low); n++ {
		k.spiSeed++
		spi := xfrm.SPI(uint64(low) + uint64(k.spiSeed)%(uint64(high-low)+1))
		if !used[spi] {
			return spi
		}
	}
	return 0
}
