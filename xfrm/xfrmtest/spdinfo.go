package xfrmtest

import "github.com/xfrm-plan/xfrm-plan/xfrm"

// Attributes of the SPD messages: enum xfrm_spdattr_type_t.
const (
	spdInfo       = 1
	spdHash       = 2
	spdIPv4Thresh = 3
	spdIPv6Thresh = 4
)

// getSPDInfo is XFRM_MSG_GETSPDINFO. The sizes of the hash table are those of a fresh one.
func (k *Kernel) getSPDInfo(r *request) *refusal {
	b := append([]byte(nil), r.body[:4]...)
	var counts []byte
	for _, n := range k.spd.count {
		counts = ne.AppendUint32(counts, n)
	}
	b = appendAttr(b, spdInfo, counts)
	b = appendAttr(b, spdHash, ne.AppendUint32(ne.AppendUint32(nil, 7), 1<<20))
	b = appendAttr(b, spdIPv4Thresh, k.thresh4[:])
	b = appendAttr(b, spdIPv6Thresh, k.thresh6[:])
	r.reply(xfrm.MsgNewSPDInfo, b)
	return nil
}

// setSPDInfo is XFRM_MSG_NEWSPDINFO. The thresholds are kept and mean nothing to the model.
func (k *Kernel) setSPDInfo(r *request) *refusal {
	thresh4, thresh6 := k.thresh4, k.thresh6
	for b := r.body[4:]; len(b) >= 4; {
		n := int(ne.Uint16(b))
		if n < 4 || n > len(b) {
			break
		}
		p := b[4:n]
		switch ne.Uint16(b[2:]) & 0x3fff {
		case spdIPv4Thresh:
			if len(p) < 2 {
				return invalid("Invalid SPD_IPV4_HTHRESH attribute length")
			}
			thresh4 = [2]uint8(p)
		case spdIPv6Thresh:
			if len(p) < 2 {
				return invalid("Invalid SPD_IPV6_HTHRESH attribute length")
			}
			thresh6 = [2]uint8(p)
		}
		b = b[min(align4(n), len(b)):]
	}
	if max(thresh4[0], thresh4[1]) > 32 {
		return invalid("Invalid hash threshold (must be <= 32 for IPv4)")
	}
	if max(thresh6[0], thresh6[1]) > 128 {
		return invalid("Invalid hash threshold (must be <= 128 for IPv6)")
	}
	k.thresh4, k.thresh6 = thresh4, thresh6
	return nil
}
