package plan

import "math/bits"

// hashed is a key with a hash of its own, made with mixed. Equal keys have equal hashes.
type hashed interface {
	comparable
	hash() mixed
}

// chains finds numbers, such as those of SAs, by a key that each has. It is a hash table of two arrays: a third of the
// memory of a map, and of its time. What it finds does not depend on the hash.
type chains[K hashed] struct {
	key     func(i int32) K
	heads   []int32 // by hash: the number last added, from 1; 0 is none
	entries []entry // by number
}

type entry struct {
	next int32  // the number that was added before, from 1
	hash uint32 // so that a key is only made, of a struct far away, where it is the wanted one
}

// newChains makes a table for numbers below n.
func newChains[K hashed](n int, key func(i int32) K) *chains[K] {
	return &chains[K]{key: key, heads: make([]int32, 1<<bits.Len(uint(n))), entries: make([]entry, n)}
}

func (c *chains[K]) head(h mixed) *int32 { return &c.heads[uint64(h)&uint64(len(c.heads)-1)] }

// put adds i, whose key has the hash h.
func (c *chains[K]) put(i int32, h mixed) {
	head := c.head(h)
	c.entries[i] = entry{*head, h.high()}
	*head = i + 1
}

// add adds i, which must not be there yet.
func (c *chains[K]) add(i int32) { c.put(i, c.key(i).hash()) }

// each calls f for each number of the key, the last one added first.
func (c *chains[K]) each(k K, f func(i int32)) { c.eachOf(k, k.hash(), f) }

func (c *chains[K]) eachOf(k K, h mixed, f func(i int32)) {
	for i := *c.head(h) - 1; i >= 0; {
		e := c.entries[i]
		if e.hash == h.high() && c.key(i) == k {
			f(i)
		}
		i = e.next - 1
	}
}

// eachThenAdd calls f for each number that is there of the key of i, and adds i.
func (c *chains[K]) eachThenAdd(i int32, f func(i int32)) {
	k := c.key(i)
	h := k.hash()
	c.eachOf(k, h, f)
	c.put(i, h)
}

// last returns the number of the key that was added last.
func (c *chains[K]) last(k K) (i int32, found bool) { return c.lastOf(k, k.hash()) }

func (c *chains[K]) lastOf(k K, h mixed) (i int32, found bool) {
	for i := *c.head(h) - 1; i >= 0; {
		e := c.entries[i]
		if e.hash == h.high() && c.key(i) == k {
			return i, true
		}
		i = e.next - 1
	}
	return 0, false
}

// first returns a number of the key, or adds i if there is none. It is for tables that are filled by it alone.
func (c *chains[K]) first(i int32) (j int32, found bool) {
	k := c.key(i)
	h := k.hash()
	if j, found := c.lastOf(k, h); found {
		return j, true
	}
	c.put(i, h)
	return i, false
}
