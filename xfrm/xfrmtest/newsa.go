package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Algorithms are what an SA encrypts and authenticates with: AEAD alone, or Crypt and Auth, or Auth for AH, or Comp.
type Algorithms struct{ AEAD, Auth, Crypt, Comp *Algorithm }

// Algorithm is one of the names of net/xfrm/xfrm_algo.c with a key. A salt is part of the key.
type Algorithm struct {
	Name string
	Key  []byte
	ICV  uint32 // bits of the check value; for Auth what it is truncated to, 0 for the algorithm's default
}

// NewSA is XFRM_MSG_NEWSA, for a running kernel as well. Its fields mean what they do in a dump; LastUsed and Stats
// can't be set and are left out, counters and lifetimes are set if they are not zero.
func NewSA(sa xfrm.SA, alg Algorithms) xfrm.Request { return saRequest(xfrm.MsgNewSA, &sa, &alg) }

// UpdateSA is XFRM_MSG_UPDSA.
func UpdateSA(sa xfrm.SA, alg Algorithms) xfrm.Request { return saRequest(xfrm.MsgUpdSA, &sa, &alg) }

// AddSA does NewSA on a Conn.
func AddSA(c *xfrm.Conn, sa xfrm.SA, alg Algorithms) error { return c.Do(NewSA(sa, alg))[0] }

func saRequest(typ uint16, sa *xfrm.SA, alg *Algorithms) xfrm.Request {
	sel := rawSelectorOf(&sa.Sel)
	info := *sa
	info.Current, info.Stats = xfrm.Lifetime{}, xfrm.Stats{}
	b := appendUsersaInfo(make([]byte, 0, 512), &sel, &info, 0)
	b = alg.append(b)
	if sa.ExtraFlags != 0 {
		b = appendAttr32(b, xfrm.AttrExtraFlags, sa.ExtraFlags)
	}
	if sa.Encap.Type != xfrm.EncapNone {
		b = appendAttr(b, xfrm.AttrEncap, encodeEncap(&sa.Encap))
	}
	if sa.TFCPad != 0 {
		b = appendAttr32(b, xfrm.AttrTFCPad, sa.TFCPad)
	}
	b = appendMark(b, sa.Mark)
	b = appendOutputMark(b, sa.OutputMark)
	b = appendReplay(b, &sa.Replay)
	if sa.Current != (xfrm.Lifetime{}) {
		b = appendAttr(b, xfrm.AttrLtimeVal, appendLifetime(nil, &sa.Current))
	}
	if sa.Offload != (xfrm.Offload{}) {
		b = appendAttr(b, xfrm.AttrOffloadDev, encodeOffload(&sa.Offload))
	}
	return xfrm.Request{Type: typ, Payload: appendLast(b, sa)}
}

// appendReplay appends the replay state, the long form with a bitmap as long as its window.
func appendReplay(b []byte, r *xfrm.Replay) []byte {
	if !r.ESN && r.Sent == 0 && r.Received == 0 {
		return b
	}
	w := window{long: r.ESN, bmp: make([]uint32, (r.Window+31)/32)}
	typ, p := w.encode(r)
	return appendAttr(b, typ, p)
}

func (a *Algorithms) append(b []byte) []byte {
	put := func(typ uint16, a *Algorithm, withICV bool) {
		if a == nil {
			return
		}
		p := make([]byte, 64)
		copy(p[:63], a.Name)
		p = ne.AppendUint32(p, uint32(8*len(a.Key)))
		if withICV {
			p = ne.AppendUint32(p, a.ICV)
		}
		b = appendAttr(b, typ, append(p, a.Key...))
	}
	put(xfrm.AttrAlgAEAD, a.AEAD, true)
	put(xfrm.AttrAlgAuthTrunc, a.Auth, true)
	put(xfrm.AttrAlgCrypt, a.Crypt, false)
	put(xfrm.AttrAlgComp, a.Comp, false)
	return b
}
