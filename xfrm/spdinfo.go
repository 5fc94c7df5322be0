package xfrm

// SPDInfo is what XFRM_MSG_GETSPDINFO tells of the SPD.
type SPDInfo struct {
	In, Out, Fwd uint32 // policies
	// Policies whose prefixes are at least this long (local, remote) are found by hash; shorter ones stand in trees,
	// which UPDPOLICY and DELPOLICY by selector walk whole.
	IPv4Thresh, IPv6Thresh [2]uint8
}

// Attributes of XFRM_MSG_NEWSPDINFO: enum xfrm_spdattr_type_t.
const (
	spdInfo       = 1
	spdIPv4Thresh = 3
	spdIPv6Thresh = 4
)

// decode reads the payload of XFRM_MSG_NEWSPDINFO: u32 flags, struct xfrmu_spdinfo and struct xfrmu_spdhthresh.
func (s *SPDInfo) decode(b []byte) error {
	if len(b) < 4 {
		return shortOf("SPD info", len(b), 4)
	}
	return eachAttr(b[4:], func(typ uint16, a []byte) error {
		switch typ {
		case spdInfo:
			if len(a) < sizeofSPDInfo {
				return shortOf("xfrmu_spdinfo", len(a), sizeofSPDInfo)
			}
			s.In, s.Out, s.Fwd = ne.Uint32(a), ne.Uint32(a[4:]), ne.Uint32(a[8:])
		case spdIPv4Thresh, spdIPv6Thresh:
			if len(a) < sizeofSPDHThresh {
				return shortOf("xfrmu_spdhthresh", len(a), sizeofSPDHThresh)
			}
			t := [2]uint8{a[0], a[1]}
			if typ == spdIPv4Thresh {
				s.IPv4Thresh = t
			} else {
				s.IPv6Thresh = t
			}
		}
		return nil
	})
}
