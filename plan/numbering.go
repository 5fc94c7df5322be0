package plan

// numbering numbers keys as they come, from 0. Of many keys in a row few are different, and mostly one of the last: those
// are compared first, which is much cheaper than looking them up.
type numbering[K comparable] struct {
	numbers map[K]int
	last    [16]struct {
		key K
		n   int // from 1
	}
}

// of returns the number of a key, the next free one if it is new. The hint tells apart keys that take turns.
func (x *numbering[K]) of(k K, hint uint32) int {
	last := &x.last[hint%uint32(len(x.last))]
	if last.n != 0 && last.key == k {
		return last.n - 1
	}
	n, ok := x.numbers[k]
	if !ok {
		if x.numbers == nil {
			x.numbers = make(map[K]int)
		}
		n = len(x.numbers)
		x.numbers[k] = n
	}
	last.key, last.n = k, n+1
	return n
}
