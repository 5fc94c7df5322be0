//go:build lab

package engine

import (
	"encoding/binary"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// legacyWay is XFRM_MSG_MIGRATE, the interface of Mobile IPv6: one call for each policy, which takes along the SAs that
// its template names by addresses and reqid. Six calls, in one datagram, without a block: what leaves between the first
// and the last of them finds no SA.
func legacyWay(from, to *xfrmtest.ChildSA) []datagram {
	var reqs []xfrm.Request
	for j := range from.Policies {
		reqs = append(reqs, legacyMigrate(&from.Policies[j], &to.Policies[j]))
	}
	return []datagram{datagramOf(reqs...)}
}

// legacyMigrate encodes struct xfrm_userpolicy_id, XFRMA_MIGRATE with one struct xfrm_user_migrate, and XFRMA_IF_ID.
func legacyMigrate(from, to *xfrm.Policy) xfrm.Request {
	const attrMigrate, sizeofMigrate = 17, 76
	r := deleteBySelector(from)
	old, next := &from.Templates[0], &to.Templates[0]
	m := make([]byte, 0, 4+sizeofMigrate)
	m = binary.NativeEndian.AppendUint16(m, 4+sizeofMigrate)
	m = binary.NativeEndian.AppendUint16(m, attrMigrate)
	for _, a := range []xfrm.Address{old.Dst, old.Src, next.Dst, next.Src} {
		m = append(m, a[:]...)
	}
	m = append(m, byte(old.Proto), byte(old.Mode), 0, 0)
	m = binary.NativeEndian.AppendUint32(m, old.Reqid)
	m = binary.NativeEndian.AppendUint16(m, uint16(old.Family))
	m = binary.NativeEndian.AppendUint16(m, uint16(next.Family))
	return xfrm.Request{Type: xfrm.MsgMigrate, Payload: append(r.Payload, m...)}
}
