//go:build lab

package codec

import (
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestIPIPSAFollowsItsIPCompTunnel pins why SA.Larval is true of the SA that the kernel puts beside an IPComp tunnel: a
// migration of the tunnel makes another one at the new addresses. Migrating it by itself would tear the two apart.
func TestIPIPSAFollowsItsIPCompTunnel(t *testing.T) {
	n := newNetNS(t)
	n.ip("xfrm state add " + v4 + "proto comp spi 0x1004 reqid 1 mode tunnel comp deflate")
	for _, sa := range n.sas() {
		if sa.Larval() != (sa.ID.Proto != xfrm.ProtoComp) {
			t.Errorf("%v: Larval %v", sa.ID, sa.Larval())
		}
		if !sa.Larval() {
			m := migrationOf(&sa, "192.0.2.9", "203.0.113.9")
			n.do(m.Request())
		}
	}
	sas := n.sas()
	if len(sas) != 2 {
		t.Fatalf("%d SAs, want 2", len(sas))
	}
	for _, sa := range sas {
		if sa.SrcIP().String() != "192.0.2.9" || sa.DstIP().String() != "203.0.113.9" {
			t.Errorf("%v from %v, want it at the new addresses", sa.ID, sa.SrcIP())
		}
	}
}
