package plan

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// chains lists numbers by key: the first of each key, and for each number the next of the same key. It takes two
// allocations however many keys there are.
type chains[K comparable] struct {
	first map[K]int32
	next  []int32 // -1 ends a chain
}

func newChains[K comparable](n int) chains[K] {
	return chains[K]{first: make(map[K]int32, n), next: make([]int32, n)}
}

// chain lists the SAs that carry traffic by key.
func chain[K comparable](sas []xfrm.SA, key func(*xfrm.SA) K) chains[K] {
	c := newChains[K](len(sas))
	for i := len(sas) - 1; i >= 0; i-- { // backwards, so that a chain goes up
		if !sas[i].Larval() {
			c.add(key(&sas[i]), int32(i))
		}
	}
	return c
}

// add puts i in front of the chain of k.
func (c *chains[K]) add(k K, i int32) {
	next, ok := c.first[k]
	if !ok {
		next = -1
	}
	c.next[i] = next
	c.first[k] = i
}

// each calls f for each number of the key.
func (c *chains[K]) each(k K, f func(i int32)) {
	i, ok := c.first[k]
	for ; ok && i >= 0; i = c.next[i] {
		f(i)
	}
}
