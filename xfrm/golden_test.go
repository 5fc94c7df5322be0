package xfrm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden is a request that ip sends for the command in the first line of its file. The lab records them from the wire;
// test/netns/codec says how.
func golden(t *testing.T, name string) Request {
	t.Helper()
	b, err := os.ReadFile("../test/netns/codec/testdata/ip/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || scan(line, "type %v", &r.Type) {
			continue
		}
		bytes, err := hex.DecodeString(line)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.Payload = append(r.Payload, bytes...)
	}
	return r
}

func outer(s string) Address { return AddressFrom(netip.MustParseAddr(s)) }

func between(src, dst string) Selector {
	return SelectorFor(netip.MustParsePrefix(src), netip.MustParsePrefix(dst))
}

const allAlgorithms = ^uint32(0)

// TestRequestsAreThoseOfIP compares with what ip sends for the same. Two things differ, and no other: ip puts
// XFRMA_POLICY_TYPE first, and gives the empty selector of a deletion by index a family, which the kernel doesn't read.
func TestRequestsAreThoseOfIP(t *testing.T) {
	esp := Template{
		Dst: outer("203.0.113.1"), Src: outer("192.0.2.1"), SPI: 0x1001, Proto: ProtoESP, Family: FamilyIPv4, Reqid: 1, Mode: ModeTunnel,
		AAlgos: allAlgorithms, EAlgos: allAlgorithms, CAlgos: allAlgorithms,
	}
	comp := esp
	comp.SPI, comp.Proto, comp.Optional = 0, ProtoComp, 1
	ports := between("10.1.0.0/24", "10.2.0.0/24")
	ports.Proto, ports.SPort, ports.SPortMask, ports.DPort, ports.DPortMask, ports.IfIndex = 6, 80, 0xffff, 443, 0xffff, 1
	limits := NoLimits
	limits.HardAdd, limits.SoftBytes = 4000, 5000

	for _, c := range []struct {
		name    string
		request Request
		size    int // of the struct before the attributes
	}{
		{"policy-add", NewPolicy(&Policy{
			Sel: between("10.1.0.0/24", "10.2.0.0/24"), Limits: NoLimits, Priority: 100, Dir: DirOut, hasType: true,
			Mark: Mark{0x10, 0xff}, IfID: 7, Templates: []Template{esp},
		}), sizeofPolicyInfo},
		{"policy-add-ipcomp", NewPolicy(&Policy{
			Sel: ports, Limits: NoLimits, Priority: 100, Dir: DirFwd,
			Templates: []Template{comp, {
				Proto: ProtoESP, Family: FamilyIPv4, Reqid: 1, AAlgos: allAlgorithms, EAlgos: allAlgorithms, CAlgos: allAlgorithms,
			}},
		}), sizeofPolicyInfo},
		{"policy-update-block", UpdatePolicy(&Policy{
			Sel: between("2001:db8:1::/64", "2001:db8:2::/64"), Limits: limits, Priority: 5, Index: 0x88, Action: Block, Flags: 3,
		}), sizeofPolicyInfo},
		{"policy-delete-index", DeletePolicy(&Policy{Index: 0x89, Dir: DirOut, Mark: Mark{0x10, 0xff}, IfID: 7}), sizeofPolicyID},
		{"policy-get-index", GetPolicy(&Policy{Index: 0x89, Dir: DirOut, Type: PolicySub}), sizeofPolicyID},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := golden(t, c.name)
			if c.request.Type != want.Type {
				t.Errorf("type %#x, want %#x", c.request.Type, want.Type)
			}
			if c.size == sizeofPolicyID {
				ne.PutUint16(want.Payload[40:], 0) // the selector's family
			}
			if got, want := c.request.Payload[:c.size], want.Payload[:c.size]; !bytes.Equal(got, want) {
				t.Errorf("struct\ngot  %x\nwant %x", got, want)
			}
			if got, want := sortedAttrs(c.request.Payload[c.size:]), sortedAttrs(want.Payload[c.size:]); !slices.Equal(got, want) {
				t.Errorf("attributes\ngot  %v\nwant %v", got, want)
			}
		})
	}
}

func sortedAttrs(b []byte) (all []string) {
	if err := eachAttr(b, func(typ uint16, p []byte) error {
		all = append(all, fmt.Sprintf("%d: %x", typ, p))
		return nil
	}); err != nil {
		return []string{err.Error()}
	}
	slices.Sort(all)
	return all
}

// TestSAThatIPSends decodes a request to add an SA, which is laid out as the kernel's dump is.
func TestSAThatIPSends(t *testing.T) {
	r := golden(t, "state-add")
	got, err := DecodeSA(r.Payload)
	if err != nil || r.Type != MsgNewSA {
		t.Fatalf("type %#x, %v", r.Type, err)
	}
	want := SA{
		ID:  SAID{Dst: outer("203.0.113.1"), SPI: 0x1001, Family: FamilyIPv4, Proto: ProtoESP},
		Src: outer("192.0.2.1"), Sel: between("10.1.0.0/24", "10.2.0.0/24"), Limits: NoLimits, Reqid: 1, Mode: ModeTunnel, Flags: 128,
		Replay: Replay{Received: 5, Window: 64, ESN: true}, Mark: Mark{0x10, 0xff}, OutputMark: Mark{0x20, 0xf0}, IfID: 7, Dir: SADirIn,
		Encap: Encap{Type: EncapESPinUDP, SPort: 4500, DPort: 4501}, CPU: AnyCPU, HasAlgorithm: true,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
