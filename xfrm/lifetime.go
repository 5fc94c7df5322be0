package xfrm

// Unlimited is XFRM_INF: the limit of a Lifetime that has none.
const Unlimited = ^uint64(0)

// LifetimeLimits is struct xfrm_lifetime_cfg: when an SA or policy expires. Times are in seconds; 0 is no limit for
// times, Unlimited for bytes and packets.
type LifetimeLimits struct {
	SoftBytes, HardBytes     uint64
	SoftPackets, HardPackets uint64
	SoftAdd, HardAdd         uint64 // since it was added
	SoftUse, HardUse         uint64 // since its first use
}

// NoLimits never expires.
var NoLimits = LifetimeLimits{SoftBytes: Unlimited, HardBytes: Unlimited, SoftPackets: Unlimited, HardPackets: Unlimited}

// Lifetime is struct xfrm_lifetime_cur: what has been used. Times are seconds since the Unix epoch, 0 for never.
type Lifetime struct {
	Bytes, Packets   uint64
	AddTime, UseTime uint64
}

func (l *LifetimeLimits) appendTo(b []byte) []byte {
	for _, v := range [...]uint64{
		l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets, l.SoftAdd, l.HardAdd, l.SoftUse, l.HardUse,
	} {
		b = ne.AppendUint64(b, v)
	}
	return b
}

func (l *LifetimeLimits) decode(b []byte) {
	_ = b[sizeofLifetimeCfg-1]
	l.SoftBytes, l.HardBytes = ne.Uint64(b), ne.Uint64(b[8:])
	l.SoftPackets, l.HardPackets = ne.Uint64(b[16:]), ne.Uint64(b[24:])
	l.SoftAdd, l.HardAdd = ne.Uint64(b[32:]), ne.Uint64(b[40:])
	l.SoftUse, l.HardUse = ne.Uint64(b[48:]), ne.Uint64(b[56:])
}

func (l *Lifetime) appendTo(b []byte) []byte {
	b = ne.AppendUint64(b, l.Bytes)
	b = ne.AppendUint64(b, l.Packets)
	b = ne.AppendUint64(b, l.AddTime)
	return ne.AppendUint64(b, l.UseTime)
}

func (l *Lifetime) decode(b []byte) {
	_ = b[sizeofLifetimeCur-1]
	l.Bytes, l.Packets = ne.Uint64(b), ne.Uint64(b[8:])
	l.AddTime, l.UseTime = ne.Uint64(b[16:]), ne.Uint64(b[24:])
}
