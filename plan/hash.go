package plan

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// mixed is a hash in the making: words folded in one after the other, by a multiplication each. Package hash/maphash
// takes several times as long for keys of a few words, and much more where the processor is emulated and has to do
// without instructions for AES.
type mixed uint64

// unmixed is different in each process, so that no peer can choose SPIs that fall into one chain.
var unmixed = mixed(rand.Uint64())

func (h mixed) word(w uint64) mixed {
	high, low := bits.Mul64(uint64(h)^w, 0x9e3779b97f4a7c15) // 2^64 divided by the golden ratio, odd
	return mixed(high ^ low)
}

func (h mixed) address(a *xfrm.Address) mixed {
	return h.word(binary.NativeEndian.Uint64(a[:8])).word(binary.NativeEndian.Uint64(a[8:]))
}

func (h mixed) high() uint32 { return uint32(h >> 32) }
