package xfrmtest

import (
	"container/list"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// state is struct xfrm_state.
type state struct {
	sa     xfrm.SA     // as package xfrm reads it; its Replay and Current are live
	sel    rawSelector // what sa.Sel was decoded from
	seq    uint32      // km.seq, by which an SA is joined to its larval one
	larval bool        // XFRM_STATE_ACQ
	alg    algs
	coaddr []byte
	window window
	place  *list.Element // nil once it is deleted
}

// sad is the table of SAs.
type sad struct {
	all     *list.List // of *state, newest first, and of place
	byTuple map[tuple][]*state
	larval  map[*state]struct{}
}

// tuple is what an SA is looked up by, its mark aside.
type tuple struct {
	dst    xfrm.Address
	spi    xfrm.SPI
	proto  xfrm.Proto
	family xfrm.Family
}

func (t *sad) init() {
	t.all = list.New()
	t.byTuple = map[tuple][]*state{}
	t.larval = map[*state]struct{}{}
}

func (t *sad) len() (n int) {
	for e := t.all.Front(); e != nil; e = e.Next() {
		if _, ok := e.Value.(*state); ok {
			n++
		}
	}
	return n
}

// each calls f for every SA, the newest first, until it returns false. f may delete the SA that it is given.
func (t *sad) each(f func(*state) bool) {
	for e := t.all.Front(); e != nil; {
		next := e.Next()
		if x, ok := e.Value.(*state); ok && !f(x) {
			return
		}
		e = next
	}
}

// significant is what the kernel compares of an address of family f: of IPv4, 4 bytes of the 16.
func significant(a xfrm.Address, f xfrm.Family) xfrm.Address {
	if f != xfrm.FamilyIPv6 {
		clear(a[4:])
	}
	return a
}

func sameAddress(a, b xfrm.Address, f xfrm.Family) bool {
	return significant(a, f) == significant(b, f)
}

func (x *state) tuple() tuple { return tupleOf(&x.sa.ID) }

func tupleOf(id *xfrm.SAID) tuple {
	return tuple{significant(id.Dst, id.Family), id.SPI, id.Proto, id.Family}
}

// takes reports whether a lookup with this mark finds x as far as marks go. That is not symmetrical: an SA with a mask
// of zero is found with any mark.
func (x *state) takes(mark uint32) bool { return mark&x.sa.Mark.Mask == x.sa.Mark.Value }

// lookup is __xfrm_state_lookup. Where marks let several match, the newest is found; the kernel's order changes when
// its hash table grows, so that nothing may depend on it.
func (t *sad) lookup(mark uint32, id *xfrm.SAID) *state {
	for _, x := range t.byTuple[tupleOf(id)] {
		if x.takes(mark) {
			return x
		}
	}
	return nil
}

// lookupByAddr is __xfrm_state_lookup_byaddr, for protocols without SPIs.
func (t *sad) lookupByAddr(mark uint32, id *xfrm.SAID, src xfrm.Address) (found *state) {
	t.each(func(x *state) bool {
		if x.sa.ID.Family == id.Family && x.sa.ID.Proto == id.Proto && x.takes(mark) &&
			sameAddress(x.sa.ID.Dst, id.Dst, id.Family) && sameAddress(x.sa.Src, src, id.Family) {
			found = x
		}
		return found == nil
	})
	return found
}

// locate is __xfrm_state_locate: what x would collide with.
func (t *sad) locate(x *state) *state {
	if hasSPI(x.sa.ID.Proto) {
		return t.lookup(x.sa.Mark.Key(), &x.sa.ID)
	}
	return t.lookupByAddr(x.sa.Mark.Key(), &x.sa.ID, x.sa.Src)
}

// hasSPI tells the protocols of IPSEC_PROTO_ANY.
func hasSPI(p xfrm.Proto) bool {
	return p == xfrm.ProtoESP || p == xfrm.ProtoAH || p == xfrm.ProtoComp
}

// protoMatch is xfrm_id_proto_match.
func protoMatch(p, asked xfrm.Proto) bool {
	return asked == 0 || p == asked || asked == xfrm.ProtoAny && hasSPI(p)
}

// insert is __xfrm_state_insert: no questions asked.
func (k *Kernel) insert(x *state) {
	t := &k.sad
	x.sa.Mark.Value = x.sa.Mark.Key()
	x.place = t.all.PushFront(x)
	k.logSA(x)
	if x.larval {
		t.larval[x] = struct{}{}
	}
	if x.sa.ID.SPI != 0 {
		t.byTuple[x.tuple()] = slices.Insert(t.byTuple[x.tuple()], 0, x)
	}
	k.changed()
}

// remove is __xfrm_state_delete.
func (k *Kernel) remove(x *state) {
	t := &k.sad
	t.all.Remove(x.place)
	x.place = nil
	delete(t.larval, x)
	same := t.byTuple[x.tuple()]
	if i := slices.Index(same, x); i >= 0 {
		if same = slices.Delete(same, i, i+1); len(same) == 0 {
			delete(t.byTuple, x.tuple())
		} else {
			t.byTuple[x.tuple()] = same
		}
	}
	k.changed()
}

// add is xfrm_state_add: inserts x and deletes the larval SA that it was awaited by. It reports whether the tuple was
// free.
func (k *Kernel) add(x *state) bool {
	t := &k.sad
	if t.locate(x) != nil {
		return false
	}
	var awaited *state
	if hasSPI(x.sa.ID.Proto) {
		awaited = t.awaited(x)
	}
	k.insert(x)
	if awaited != nil {
		k.remove(awaited)
	}
	return true
}

// awaited finds the larval SA that x fulfils: __xfrm_find_acq_byseq, then __find_acq_core.
func (t *sad) awaited(x *state) *state {
	id := &x.sa.ID
	mark := x.sa.Mark.Key()
	if x.seq != 0 {
		if l := t.larvalBySeq(mark, x.seq, x.sa.CPU); l != nil && l.sa.ID.Proto == id.Proto && sameAddress(l.sa.ID.Dst, id.Dst, id.Family) {
			return l
		}
	}
	return t.findLarval(mark, x)
}

func (t *sad) larvalBySeq(mark, seq, cpu uint32) *state {
	for l := range t.larval {
		if l.seq == seq && l.takes(mark) && l.sa.CPU == cpu {
			return l
		}
	}
	return nil
}

// findLarval finds a larval SA without SPI for the addresses, reqid, mode and protocol of like. if_id is not compared.
func (t *sad) findLarval(mark uint32, like *state) *state {
	id := &like.sa.ID
	for l := range t.larval {
		if l.sa.ID.SPI == 0 && l.sa.Reqid == like.sa.Reqid && l.sa.Mode == like.sa.Mode && l.sa.ID.Family == id.Family &&
			l.sa.ID.Proto == id.Proto && l.takes(mark) && l.sa.CPU == like.sa.CPU &&
			sameAddress(l.sa.ID.Dst, id.Dst, id.Family) && sameAddress(l.sa.Src, like.sa.Src, id.Family) {
			return l
		}
	}
	return nil
}
