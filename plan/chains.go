package plan

import (
	"hash/maphash"
	"math/bits"
)

// chains finds numbers, such as those of SAs, by a key that each has. It is a hash table of two arrays: a third of the
// memory of a map, and of its time. What it finds does not depend on the hash.
type chains[K comparable] struct {
	key   func(i int32) K
	heads []int32 // by hash: the number last added, from 1; 0 is none
	next  []int32 // by number: the one that was added before, from 1
	seed  maphash.Seed
}

// newChains makes a table for numbers below n.
func newChains[K comparable](n int, key func(i int32) K) *chains[K] {
	return &chains[K]{key: key, heads: make([]int32, 1<<bits.Len(uint(n))), next: make([]int32, n), seed: maphash.MakeSeed()}
}

func (c *chains[K]) head(k K) *int32 {
	return &c.heads[maphash.Comparable(c.seed, k)&uint64(len(c.heads)-1)]
}

// add adds i, which must not be there yet.
func (c *chains[K]) add(i int32) {
	h := c.head(c.key(i))
	c.next[i], *h = *h, i+1
}

// each calls f for each number of the key, the last one added first.
func (c *chains[K]) each(k K, f func(i int32)) {
	for i := *c.head(k) - 1; i >= 0; i = c.next[i] - 1 {
		if c.key(i) == k {
			f(i)
		}
	}
}

// first returns a number of the key, or adds i if there is none. It is for tables that are filled by it alone.
func (c *chains[K]) first(i int32) (j int32, found bool) {
	k := c.key(i)
	h := c.head(k)
	for j := *h - 1; j >= 0; j = c.next[j] - 1 {
		if c.key(j) == k {
			return j, true
		}
	}
	c.next[i], *h = *h, i+1
	return i, false
}
