package xfrmtest

import (
	"maps"
	"slices"
)

// Clone returns a Kernel as New does, with the tables of this one: a test that needs the same beginning many times makes
// it once. It is of another namespace, with a cookie of its own, and has no sockets.
func (k *Kernel) Clone(opts ...Option) *Kernel {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := New(WithMigration(k.migration), WithCPUs(k.cpus), WithReceiveBuffer(k.rcvbuf), WithClock(k.now))
	c.devices, c.dumpIntr = maps.Clone(k.devices), k.dumpIntr
	c.privilege.Store(k.privilege.Load())
	c.thresh4, c.thresh6, c.acqSeq, c.spiSeed = k.thresh4, k.thresh6, k.acqSeq, k.spiSeed
	for _, x := range slices.Backward(k.sad.entries()) { // each goes in front of those before it
		y := *x
		y.window = x.window.clone()
		c.insert(&y)
	}
	for _, p := range slices.Backward(k.spd.entries()) {
		q := *p
		c.link(&q)
		c.register(&q)
	}
	c.spd.next, c.changes = k.spd.next, k.changes
	for _, o := range opts {
		o(c)
	}
	return c
}

func (t *sad) entries() (all []*state) {
	t.each(func(x *state) bool { all = append(all, x); return true })
	return all
}

func (t *spd) entries() (all []*policy) {
	t.each(func(p *policy) bool { all = append(all, p); return true })
	return all
}
