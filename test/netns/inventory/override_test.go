//go:build lab

package inventory

import (
	"net"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// send sends a packet to the address.
func (n *netns) send(to string) {
	n.t.Helper()
	err := topo.Namespace(n.Name).Enter(func() error {
		c, err := net.Dial("udp", net.JoinHostPort(to, "9"))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// TestNewReqidOfAnSAWithout sets a reqid on an SA that has none, nor the template: the policy still finds it.
func TestNewReqidOfAnSAWithout(t *testing.T) {
	n := newNetNS(t)
	n.ip(link)
	n.ip(keys.Replace(`
		addr add 192.0.2.1/24 dev out
		addr add 198.51.100.1/24 dev out
		xfrm state add src 192.0.2.1 dst 203.0.113.1 proto esp spi 0x1001 mode tunnel AEAD
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 203.0.113.1 proto esp mode tunnel`))
	doc := document("192.0.2.0/24", "198.51.100.0/24")
	reqid := uint32(1017)
	doc.Overrides = []plan.Override{{Set: plan.Changes{Reqid: &reqid}}}
	n.apply(doc)
	n.send("10.2.0.1")
	err := topo.Until(5*time.Second, func() (bool, error) { return n.inventory().SAs[0].Current.Packets == 1, nil })
	if sa := n.inventory().SAs[0]; err != nil || sa.Reqid != reqid {
		t.Errorf("%v: the SA has reqid %d and carried %d packets", err, sa.Reqid, sa.Current.Packets)
	}
}

// TestPortsOfABundle sets UDP encapsulation on a Child SA with IPComp: the kernel takes it for the ESP SAs.
func TestPortsOfABundle(t *testing.T) {
	n := newNetNS(t)
	for _, m := range manual {
		if m.name == "manual-ipcomp" {
			n.ip(keys.Replace(m.script))
		}
	}
	doc := document("192.0.2.0/24", "198.51.100.0/24")
	doc.Overrides = []plan.Override{{Set: plan.Changes{Encap: &plan.EncapChange{LocalPort: 4500, RemotePort: 4500}}}}
	n.apply(doc)
}
