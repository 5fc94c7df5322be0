package xfrmtest

import (
	"math"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// window is the anti-replay state of an SA: struct xfrm_replay_state, or xfrm_replay_state_esn for long windows and
// extended sequence numbers. The numbers themselves are in SA.Replay.
type window struct {
	bitmap uint32   // short form
	long   bool     // there is a xfrm_replay_state_esn
	bmp    []uint32 // its bitmap
}

func (w *window) clone() window {
	c := *w
	c.bmp = append([]uint32(nil), w.bmp...)
	return c
}

// encode gives the attribute that the SA's replay state is dumped as.
func (w *window) encode(r *xfrm.Replay) (typ uint16, b []byte) {
	if !w.long {
		b = ne.AppendUint32(b, uint32(r.Sent))
		b = ne.AppendUint32(b, uint32(r.Received))
		return xfrm.AttrReplayVal, ne.AppendUint32(b, w.bitmap)
	}
	for _, v := range []uint32{
		uint32(len(w.bmp)), uint32(r.Sent), uint32(r.Received), uint32(r.Sent >> 32), uint32(r.Received >> 32), r.Window,
	} {
		b = ne.AppendUint32(b, v)
	}
	for _, v := range w.bmp {
		b = ne.AppendUint32(b, v)
	}
	return xfrm.AttrReplayESN, b
}

// decodeLong reads struct xfrm_replay_state_esn. The bitmap may be left out.
func (w *window) decodeLong(r *xfrm.Replay, p []byte) {
	w.long = true
	w.bmp = make([]uint32, ne.Uint32(p))
	if len(p) >= sizeofReplayESN+4*len(w.bmp) {
		for i := range w.bmp {
			w.bmp[i] = ne.Uint32(p[sizeofReplayESN+4*i:])
		}
	}
	r.Sent = uint64(ne.Uint32(p[12:]))<<32 | uint64(ne.Uint32(p[4:]))
	r.Received = uint64(ne.Uint32(p[16:]))<<32 | uint64(ne.Uint32(p[8:]))
	r.Window, r.ESN = ne.Uint32(p[20:]), true
}

// next takes the SA's next sequence number; false when they have run out.
func (x *state) next() (uint64, bool) {
	r := &x.sa.Replay
	limit := uint64(math.MaxUint32)
	if x.sa.Flags&stateESN != 0 {
		limit = math.MaxUint64
	}
	if r.Sent == limit {
		if x.sa.ExtraFlags&xflagOseqMayWrap == 0 {
			return 0, false
		}
		r.Sent = math.MaxUint64 // the next is 0
	}
	r.Sent++
	return r.Sent, true
}

// size is how many packets the window is wide, 0 if there is none.
func (x *state) size() uint64 {
	if x.window.long {
		return uint64(x.sa.Replay.Window)
	}
	return uint64(x.sa.Window)
}

// fresh reports whether a packet with this number would be accepted.
func (x *state) fresh(seq uint64) bool {
	r, size := &x.sa.Replay, x.size()
	switch {
	case size == 0:
		return true
	case seq == 0:
		return false
	case seq > r.Received:
		return true
	case r.Received-seq >= size:
		x.sa.Stats.ReplayWindow++
		return false
	case x.window.seen(seq, r.Received, size):
		x.sa.Stats.Replay++
		return false
	}
	return true
}

// seen looks a number within the window up: counted back from the highest in the short form, at its place modulo the
// window's size in the long one.
func (w *window) seen(seq, highest, size uint64) bool {
	if !w.long {
		return w.bitmap&(1<<(highest-seq)) != 0
	}
	at := (seq - 1) % size
	return w.bmp[at/32]&(1<<(at%32)) != 0
}

// received notes a packet that was accepted: xfrm_replay_advance.
func (x *state) received(seq uint64) {
	r, w, size := &x.sa.Replay, &x.window, x.size()
	if size == 0 {
		return
	}
	ahead := seq > r.Received
	if !w.long {
		switch {
		case ahead && seq-r.Received < size:
			w.bitmap = w.bitmap<<(seq-r.Received) | 1
		case ahead:
			w.bitmap = 1
		default:
			w.bitmap |= 1 << (r.Received - seq)
		}
	} else {
		for n := r.Received + 1; ahead && n < seq && n-r.Received <= size; n++ {
			at := (n - 1) % size
			w.bmp[at/32] &^= 1 << (at % 32)
		}
		at := (seq - 1) % size
		w.bmp[at/32] |= 1 << (at % 32)
	}
	r.Received = max(r.Received, seq)
}
