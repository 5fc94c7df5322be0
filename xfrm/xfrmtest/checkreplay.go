package xfrmtest

import (
	"math"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// checkReplay is verify_replay: p is XFRMA_REPLAY_ESN_VAL or nil.
func checkReplay(sa *xfrm.SA, p []byte, dir xfrm.SADir) *refusal {
	esn := sa.Flags&stateESN != 0
	if p == nil {
		if esn {
			return invalid("Missing required attribute for ESN")
		}
		return nil
	}
	words := ne.Uint32(p)
	oseq, seq, oseqHi, seqHi, size := ne.Uint32(p[4:]), ne.Uint32(p[8:]), ne.Uint32(p[12:]), ne.Uint32(p[16:]), ne.Uint32(p[20:])
	switch {
	case words > 128: // XFRMA_REPLAY_ESN_MAX bits
		return invalid("ESN bitmap length must be <= 128")
	case len(p) < sizeofReplayESN+4*int(words) && len(p) != sizeofReplayESN:
		return invalid("ESN attribute is too short to fit the full bitmap length")
	case sa.ID.Proto != xfrm.ProtoESP && sa.ID.Proto != xfrm.ProtoAH:
		return invalid("ESN only supported for ESP and AH")
	case sa.Window != 0:
		return invalid("ESN not compatible with legacy replay_window")
	}
	const all = math.MaxUint32
	if dir == xfrm.SADirOut {
		switch {
		case size != 0:
			return invalid("Replay window should be 0 for output SA")
		case seq != 0 || seqHi != 0:
			return invalid("Replay seq and seq_hi should be 0 for output SA")
		case !esn && oseqHi != 0:
			return invalid("Replay oseq_hi should be 0 in non-ESN mode for output SA")
		case !esn && oseq == all:
			return invalid("Replay oseq should be less than 0xFFFFFFFF in non-ESN mode for output SA")
		case esn && oseq == all && oseqHi == all:
			return invalid("Replay oseq and oseq_hi should be less than 0xFFFFFFFF for output SA")
		case words != 0:
			return invalid("Replay bmp_len should 0 for output SA")
		}
	}
	if dir == xfrm.SADirIn {
		switch {
		case oseq != 0 || oseqHi != 0:
			return invalid("Replay oseq and oseq_hi should be 0 for input SA")
		case !esn && seqHi != 0:
			return invalid("Replay seq_hi should be 0 in non-ESN mode for input SA")
		case !esn && seq == all:
			return invalid("Replay seq should be less than 0xFFFFFFFF in non-ESN mode for input SA")
		case esn && seq == all && seqHi == all:
			return invalid("Replay seq and seq_hi should be less than 0xFFFFFFFF for input SA")
		}
	}
	return nil
}

// checkWindow is xfrm_init_replay.
func (x *state) checkWindow() *refusal {
	if !x.window.long {
		return nil
	}
	size := x.sa.Replay.Window
	if int(size) > 32*len(x.window.bmp) {
		return invalid("ESN replay window is too large for the chosen bitmap size")
	}
	if x.sa.Flags&stateESN != 0 && size == 0 && x.sa.Dir != xfrm.SADirOut {
		return invalid("ESN replay window must be > 0")
	}
	return nil
}
