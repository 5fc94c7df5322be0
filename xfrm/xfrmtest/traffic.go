package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Send lets a packet leave: Snapshot.Outbound with its effects. Sequence numbers are consumed, lifetimes count, and a
// packet for which there is no SA leaves a larval one and an ACQUIRE, if somebody listens.
func (k *Kernel) Send(p Packet) Verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.view()
	v := s.Outbound(p)
	if v.Policy != nil {
		k.used(v.Policy)
	}
	switch v.Fate {
	case Protected:
		for _, sa := range v.SAs {
			n, ok := sa.live.next()
			if !ok {
				v.Fate, v.Counter = Dropped, "XfrmOutStateSeqError"
				break
			}
			v.Seq = append(v.Seq, n)
			sa.live.count(p.Bytes, k.seconds())
		}
	case Acquire:
		if s.Listening && !v.Awaited {
			k.acquire(v.Policy, v.Missing, &p)
		}
	}
	return v.detach()
}

// Receive lets a packet arrive: Snapshot.Inbound with the check of the sequence number and its effects.
func (k *Kernel) Receive(a Arrival) Verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.view().Inbound(a)
	if len(v.SAs) == 0 || v.Counter == "XfrmInStateDirError" || v.Counter == "XfrmAcquireError" || v.SAs[0].Encap.Type != a.Encap {
		if len(v.SAs) == 0 && v.Policy != nil {
			k.used(v.Policy)
		}
		return v.detach() // in the clear, or refused before its number was looked at
	}
	x := v.SAs[0].live
	seq := a.Seq
	if seq == 0 {
		seq = x.sa.Replay.Received + 1
	}
	if !x.fresh(seq) {
		return Verdict{Fate: Dropped, Counter: "XfrmInStateSeqError", SAs: v.SAs}.detach()
	}
	x.received(seq)
	x.count(a.Inner.Bytes, k.seconds())
	v.Seq = []uint64{seq}
	if v.Policy != nil {
		k.used(v.Policy)
	}
	return v.detach()
}

// detach makes the verdict's SAs and policy copies, with their counters after the packet.
func (v Verdict) detach() Verdict {
	for i, sa := range v.SAs {
		v.SAs[i] = &SA{SA: sa.live.sa, Larval: sa.Larval, auth: sa.auth}
	}
	if v.Policy != nil {
		p := *v.Policy
		v.Policy = &p
	}
	return v
}

func (x *state) count(bytes, now uint64) {
	x.sa.Current.Bytes += bytes
	x.sa.Current.Packets++
	if x.sa.Current.UseTime == 0 {
		x.sa.Current.UseTime = now
	}
	x.sa.LastUsed = now
}

func (k *Kernel) used(p *xfrm.Policy) {
	if live := k.spd.byIndex[p.Index]; live != nil {
		live.current.UseTime = k.seconds()
	}
}
