//go:build lab

package engine

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// nsName is the network namespace that is measured in, a new one for each hub.
const nsName = "bench"

// place is one of the two outer addresses that the hub's Child SAs move between.
type place int

var local = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")}

// hub is a gateway with a Child SA to each of n peers. They move between its two addresses, there and back, way by way.
type hub struct {
	t    *testing.T
	kind result.Kind
	n    int
	at   place
	ns   *host.Namespace
}

func newHub(t *testing.T, kind result.Kind, n int) *hub {
	t.Helper()
	run(t, "ip", "netns", "add", nsName)
	t.Cleanup(func() { run(t, "ip", "netns", "delete", nsName) })
	run(t, "ip", "-n", nsName, "link", "set", "lo", "up")
	for _, a := range local {
		run(t, "ip", "-n", nsName, "address", "add", a.String()+"/32", "dev", "lo")
	}
	run(t, "ip", "-n", nsName, "route", "add", "default", "dev", "lo")
	ns, err := host.Open(nsName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	h := &hub{t: t, kind: kind, n: n, ns: ns}
	h.install()
	waitIdle(t)
	return h
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if b, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, b)
	}
}

func (h *hub) dial() *xfrm.Conn {
	h.t.Helper()
	c, err := h.ns.Dial()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

func (h *hub) install() {
	h.t.Helper()
	c := h.dial()
	for i := range h.n {
		if err := xfrmtest.Install(c, h.child(i, h.at)); err != nil {
			h.t.Fatal(err)
		}
	}
}

// child returns the hub's i-th Child SA as it is at p. Its policies have indexes of our choice, so that nobody has to
// ask the kernel for them.
func (h *hub) child(i int, p place) xfrmtest.ChildSA {
	t := xfrmtest.Tunnels{N: 1, First: i, Local: local[p], Remote: peer(i), SPIInTemplate: true}
	if h.kind == result.IfID {
		t.IfID = uint32(i + 1)
	}
	c := xfrmtest.ChildSAs(t)[0]
	for j := range c.Policies {
		pol := &c.Policies[j]
		pol.Index = index(i*len(c.Policies)+j, pol.Dir)
	}
	return c
}

// peer is the i-th peer's outer address, out of 100.64.0.0/10.
func peer(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{100, 64 + byte(i>>16), byte(i >> 8), byte(i)})
}

// index is the n-th index of a direction: a policy's index has its direction in the low three bits.
func index(n int, dir xfrm.Dir) uint32 { return uint32(n+1)<<3 | uint32(dir) }

// arrived checks by samples that all Child SAs are at p, SAs and policies, and that nothing else is in the way.
func (h *hub) arrived(p place) {
	h.t.Helper()
	const samples = 50
	c := h.dial()
	defer c.Close()
	for i := 0; i < h.n; i += max(1, h.n/samples) {
		if err := sameAsKernel(c, h.child(i, p)); err != nil {
			h.t.Fatalf("Child SA %d of %d: %v", i, h.n, err)
		}
	}
	h.at = p
}

func sameAsKernel(c *xfrm.Conn, want xfrmtest.ChildSA) error {
	reqs := []xfrm.Request{xfrm.GetSAStatus(want.In.ID, want.In.Mark), xfrm.GetSAStatus(want.Out.ID, want.Out.Mark)}
	for i := range want.Policies {
		reqs = append(reqs, xfrm.GetPolicy(&want.Policies[i]))
	}
	got, errs := c.Read(reqs...)
	for i, err := range errs {
		if err != nil {
			return err
		}
		switch {
		case i == 0 && got[i].Status.Src != want.In.Src, i == 1 && got[i].Status.Src != want.Out.Src:
			return fmt.Errorf("SA from %v", got[i].Status.Src)
		case i >= 2 && !got[i].Policy.Same(&want.Policies[i-2]):
			return fmt.Errorf("policy %+v, want %+v", got[i].Policy, want.Policies[i-2])
		}
	}
	return nil
}
