//go:build lab

package codec

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// rawPolicies gives the raw messages of a dump by index, without struct xfrm_lifetime_cur, which starts anew with each
// rewrite: bytes 120 to 151 of struct xfrm_userpolicy_info.
func (n *netns) rawPolicies() map[uint32][]byte {
	n.t.Helper()
	all := map[uint32][]byte{}
	for _, b := range n.rawDump(xfrm.MsgGetPolicy) {
		clear(b[120:152])
		all[ne.Uint32(b[156:])] = b
	}
	return all
}

func (n *netns) wantSamePolicies(before map[uint32][]byte) {
	n.t.Helper()
	after := n.rawPolicies()
	if got, want := slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)); !slices.Equal(got, want) {
		n.t.Fatalf("indices %v, want %v", got, want)
	}
	for index, want := range before {
		if got := after[index]; !bytes.Equal(got, want) {
			n.t.Errorf("index %d\ngot  %x\nwant %x", index, got, want)
		}
	}
}

func TestPolicySentBackIsByteIdentical(t *testing.T) {
	n := newNetNS(t)
	n.addPolicies()
	n.addOddPolicy()
	before := n.rawPolicies()
	if len(before) != len(policyCommands)+1 {
		t.Fatalf("%d policies, want %d", len(before), len(policyCommands)+1)
	}
	for _, p := range n.policies() {
		n.do(xfrm.UpdatePolicy(&p))
	}
	n.wantSamePolicies(before)
}

func TestPolicyDeletedAndAddedAgainIsByteIdentical(t *testing.T) {
	n := newNetNS(t)
	n.addPolicies()
	n.addOddPolicy()
	before := n.rawPolicies()
	ps := n.policies()
	for _, p := range ps {
		n.do(xfrm.DeletePolicy(&p))
	}
	if left := n.policies(); len(left) != 0 {
		t.Fatalf("left after deletion by index: %+v", left)
	}
	for _, p := range ps {
		n.do(xfrm.NewPolicy(&p))
	}
	n.wantSamePolicies(before)
}

// addOddPolicy adds a policy with something in each byte of its selector and template that the kernel takes no notice of
// but keeps: padding, user and algorithm masks.
func (n *netns) addOddPolicy() {
	n.t.Helper()
	fd := n.socket()
	defer unix.Close(fd)
	b := make([]byte, 168)
	ne.PutUint16(b[40:], unix.AF_INET)
	b[45], b[46], b[47] = 1, 2, 3
	ne.PutUint32(b[52:], 12345)
	for i := 56; i < 88; i++ { // no limits
		b[i] = 0xff
	}
	b[160] = 1 // out
	tmpl := make([]byte, 64)
	tmpl[20], tmpl[21], tmpl[22], tmpl[23] = unix.IPPROTO_ESP, 4, 5, 6
	ne.PutUint16(tmpl[24:], unix.AF_INET)
	tmpl[49] = 3
	ne.PutUint32(tmpl[52:], 1)
	ne.PutUint32(tmpl[56:], 2)
	ne.PutUint32(tmpl[60:], 3)
	send(n.t, fd, xfrm.MsgNewPolicy, unix.NLM_F_REQUEST, append(b, attr(xfrm.AttrTmpl, tmpl)...))
}

func TestPolicyTaggedStandsBesideItsOriginal(t *testing.T) {
	n := newNetNS(t)
	n.ip("xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100")
	original := n.policies()[0]
	if err := n.conn.Do(xfrm.NewPolicy(&original))[0]; !errors.Is(err, unix.EEXIST) {
		t.Errorf("the same policy again: %v, want EEXIST", err)
	}
	tagged := original
	tagged.Sel = tagged.Sel.Tagged(xfrm.Tag)
	tagged.Index, tagged.Priority, tagged.Action = 0, 99, xfrm.Block
	n.do(xfrm.NewPolicy(&tagged))
	ps := n.policies()
	if len(ps) != 2 || ps[0].Key() == ps[1].Key() || ps[0].Tagged() == ps[1].Tagged() {
		t.Errorf("got %+v, want the original and one tagged", ps)
	}
}

func TestPoliciesByIndexFindsAllAndNoneOther(t *testing.T) {
	n := newNetNS(t)
	n.addPolicies()
	ps := n.policies()
	var ask []*xfrm.Policy
	for i := range ps {
		ask = append(ask, &ps[i])
	}
	missing := ps[0]
	missing.Index += 0x1000
	got, errs := n.conn.PoliciesByIndex(append(ask, &missing))
	for i := range ps {
		if errs[i] != nil || got[i].Key() != ps[i].Key() {
			t.Errorf("index %d: %+v (%v)\nwant %+v", ps[i].Index, got[i], errs[i], ps[i])
		}
	}
	if err := errs[len(ps)]; !errors.Is(err, unix.ENOENT) {
		t.Errorf("an index that is not there: %v, want ENOENT", err)
	}
}

// TestPoliciesOfSocketsAreLeftOut gives a UDP socket a bypass, as IKE daemons do.
func TestPoliciesOfSocketsAreLeftOut(t *testing.T) {
	n := newNetNS(t)
	n.inside(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Errorf("socket: %v", err)
			return
		}
		t.Cleanup(func() { unix.Close(fd) })
		bypass := make([]byte, 168)
		ne.PutUint16(bypass[40:], unix.AF_INET)
		bypass[160] = 1
		const ipXFRMPolicy = 17 // <linux/in.h>
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipXFRMPolicy, string(bypass)); err != nil {
			t.Errorf("setsockopt IP_XFRM_POLICY: %v", err)
		}
	})
	if raw := n.rawDump(xfrm.MsgGetPolicy); len(raw) != 1 {
		t.Errorf("the kernel lists %d policies, want the socket's", len(raw))
	}
	if ps := n.policies(); len(ps) != 0 {
		t.Errorf("got %+v, want none", ps)
	}
	info, err := n.conn.SPDInfo()
	if want := (xfrm.SPDInfo{IPv4Thresh: [2]uint8{32, 32}, IPv6Thresh: [2]uint8{128, 128}}); err != nil || info != want {
		t.Errorf("SPDInfo %+v (%v), want %+v", info, err, want)
	}
}
