package conformance

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// outPolicy is the first policy of child: IPv4, outbound.
func outPolicy() xfrm.Policy { return child().Policies[0] }

var policyCases = []testCase{
	{"everything that is set comes back, but for the share", func(e *env) {
		p := outPolicy()
		p.Sel.Proto, p.Sel.DPort, p.Sel.DPortMask, p.Sel.SPort, p.Sel.SPortMask, p.Sel.User = 17, 53, 0xffff, 1024, 0xfc00, 99
		p.Limits.HardAdd, p.Limits.SoftBytes = 86400, 1<<40
		p.Priority, p.Index, p.Action, p.Flags, p.Share = 17, 0x8001, xfrm.Block, 3, 2
		p.Mark, p.IfID = xfrm.Mark{Value: 1, Mask: 0xff}, 42
		e.ok(xfrm.NewPolicy(&p))
		p.Share = 0
		got := e.policies()[0]
		equal(e, "key", got.Key(), p.Key())
		equal(e, "limits", got.Limits, p.Limits)
		equal(e, "numbers", [5]uint32{got.Priority, got.Index, uint32(got.Action), uint32(got.Flags), uint32(got.Share)},
			[5]uint32{p.Priority, p.Index, uint32(p.Action), uint32(p.Flags), uint32(p.Share)})
		equal(e, "template", got.Templates[0], p.Templates[0])
	}},
	{"a policy that was read and is sent back is the same byte for byte", func(e *env) {
		e.installed()
		for _, p := range e.policies() {
			before := e.raw(xfrm.GetPolicy(&p))
			e.ok(xfrm.UpdatePolicy(&p))
			if after := e.raw(xfrm.GetPolicy(&p)); !bytes.Equal(untimed(before), untimed(after)) {
				e.Errorf("policy %v:\nbefore %x\nafter  %x", p.Sel, before, after)
			}
		}
	}},
	{"indexes count up by eight over all directions", func(e *env) {
		ps := child().Policies
		var want []uint32
		for i, low := range []uint32{1, 0, 2, 1, 0, 2} { // out, in, fwd
			e.ok(xfrm.NewPolicy(&ps[i]))
			want = append(want, uint32(8*i)+low)
		}
		got := e.policies()
		for i := range want {
			equal(e, "index", got[len(got)-1-i].Index, want[i])
		}
	}},
	{"the first inbound policy of a namespace has index 8", func(e *env) {
		ps := child().Policies
		e.ok(xfrm.NewPolicy(&ps[1]), xfrm.NewPolicy(&ps[4]))
		got := e.policies()
		equal(e, "first", got[1].Index, 8)
		equal(e, "second", got[0].Index, 16)
	}},
	{"an index that is taken is replaced by another", func(e *env) {
		a, b := outPolicy(), outPolicy()
		a.Index, b.Index, b.Sel.User = 0x101, 0x101, 1
		e.ok(xfrm.NewPolicy(&a), xfrm.NewPolicy(&b))
		got := e.policies()
		equal(e, "the first", got[1].Index, 0x101)
		equal(e, "the second", got[0].Index, 1)
	}},
	{"the same selector in another direction, with another mark, if_id, type or user is another policy", func(e *env) {
		for _, change := range []func(p *xfrm.Policy){
			func(*xfrm.Policy) {},
			func(p *xfrm.Policy) { p.Dir = xfrm.DirIn },
			func(p *xfrm.Policy) { p.Mark = xfrm.Mark{Value: 0, Mask: 1} },
			func(p *xfrm.Policy) { p.IfID = 1 },
			func(p *xfrm.Policy) { p.Type = xfrm.PolicySub },
			func(p *xfrm.Policy) { p.Sel.User = 1 },
			func(p *xfrm.Policy) { p.Sel.Proto = 6 },
		} {
			p := outPolicy()
			change(&p)
			e.ok(xfrm.NewPolicy(&p))
			p.Priority++
			e.refused(unix.EEXIST, "", xfrm.NewPolicy(&p))
		}
		equal(e, "policies", len(e.policies()), 7)
	}},
	{"UPDPOLICY keeps the index of what it replaces and makes it the youngest", func(e *env) {
		a, b := outPolicy(), outPolicy()
		b.Sel.User = 1
		e.ok(xfrm.NewPolicy(&a), xfrm.NewPolicy(&b))
		before := e.policies()
		a.Priority, a.Index = 5, 0x901
		e.ok(xfrm.UpdatePolicy(&a))
		after := e.policies()
		equal(e, "policies", len(after), 2)
		equal(e, "index", after[0].Index, before[1].Index)
		equal(e, "priority", after[0].Priority, 5)
		equal(e, "the older one's user", after[1].Sel.User, 1)
	}},
	{"UPDPOLICY adds what is not there", func(e *env) {
		p := outPolicy()
		e.ok(xfrm.UpdatePolicy(&p))
		equal(e, "policies", len(e.policies()), 1)
	}},
	{"deletion by index and by selector", func(e *env) {
		e.installed()
		all := e.policies()
		for i := range all {
			p := all[i]
			if i%2 == 0 {
				p.Sel = xfrm.Selector{}
				e.ok(xfrm.DeletePolicy(&p))
			} else {
				e.ok(xfrmtest.DeletePolicyBySelector(&p))
			}
		}
		equal(e, "policies", len(e.policies()), 0)
	}},
	{"a deleted policy's index can be had again", func(e *env) {
		p := outPolicy()
		e.ok(xfrm.NewPolicy(&p))
		p = e.policies()[0]
		e.ok(xfrm.DeletePolicy(&p), xfrm.NewPolicy(&p))
		equal(e, "index", e.policies()[0].Index, p.Index)
	}},
	{"a template without family gets the policy's", func(e *env) {
		p := outPolicy()
		p.Templates[0].Family = 0
		e.ok(xfrm.NewPolicy(&p))
		equal(e, "family", e.policies()[0].Templates[0].Family, xfrm.FamilyIPv4)
	}},
	{"padding of a template", func(e *env) {
		p := outPolicy()
		req := edit(xfrm.NewPolicy(&p), func(b []byte) []byte {
			t := b[168+4:]
			t[21], t[22], t[23], t[26], t[27], t[51] = 1, 2, 3, 4, 5, 6
			return b
		})
		e.ok(req)
		b := e.raw(xfrmtest.GetPolicyBySelector(&p))
		t := b[16+168+4:]
		equal(e, "kept", [3]byte(t[21:24]), [3]byte{1, 2, 3})
		equal(e, "cleared", [3]byte{t[26], t[27], t[51]}, [3]byte{})
	}},
	{"FLUSHPOLICY leaves sub-policies", func(e *env) {
		p := outPolicy()
		e.ok(xfrm.NewPolicy(&p))
		p.Type = xfrm.PolicySub
		e.ok(xfrm.NewPolicy(&p), xfrmtest.FlushPolicies(), xfrmtest.FlushPolicies())
		equal(e, "type", e.policies()[0].Type, xfrm.PolicySub)
	}},
	{"SPD info", func(e *env) {
		e.installed()
		info, err := e.c.SPDInfo()
		if err != nil {
			e.Fatal(err)
		}
		equal(e, "info", info, xfrm.SPDInfo{In: 2, Out: 2, Fwd: 2, IPv4Thresh: [2]uint8{32, 32}, IPv6Thresh: [2]uint8{128, 128}})
	}},
}

// untimed returns the NEWPOLICY that an answer begins with, without the time of addition and what is in the header.
func untimed(b []byte) []byte {
	b = bytes.Clone(b[:binary.NativeEndian.Uint32(b)])
	clear(b[4:16])
	clear(b[16+136 : 16+152])
	return b
}

// policyError makes a case of a NEWPOLICY that is refused.
func policyError(name string, errno unix.Errno, reason string, change func(*xfrm.Policy)) testCase {
	return testCase{name, func(e *env) {
		p := outPolicy()
		change(&p)
		e.refused(errno, reason, xfrm.NewPolicy(&p))
		e.refused(errno, reason, xfrm.UpdatePolicy(&p))
		equal(e, "policies", len(e.policies()), 0)
	}}
}

var policyErrorCases = []testCase{
	policyError("share", unix.EINVAL, "Invalid policy share", func(p *xfrm.Policy) { p.Share = 4 }),
	policyError("action", unix.EINVAL, "Invalid policy action", func(p *xfrm.Policy) { p.Action = 2 }),
	policyError("no family", unix.EINVAL, "Invalid selector family", func(p *xfrm.Policy) { p.Sel.Family = 0 }),
	policyError("prefix of 33 bits", unix.EINVAL, "Invalid prefix length in selector (must be <= 32 for IPv4)", func(p *xfrm.Policy) { p.Sel.DstLen = 33 }),
	policyError("prefix of 129 bits", unix.EINVAL, "Invalid prefix length in selector (must be <= 128 for IPv6)",
		func(p *xfrm.Policy) { p.Sel.Family, p.Sel.SrcLen = xfrm.FamilyIPv6, 129 }),
	policyError("direction", unix.EINVAL, "Invalid policy direction", func(p *xfrm.Policy) { p.Dir = 3 }),
	policyError("index of another direction", unix.EINVAL, "Policy index doesn't match direction", func(p *xfrm.Policy) { p.Index = 8 }),
	policyError("type", unix.EINVAL, "Invalid policy type", func(p *xfrm.Policy) { p.Type = 2 }),
	policyError("seven templates", unix.EINVAL, "Template count must be <= XFRM_MAX_DEPTH (6)", func(p *xfrm.Policy) {
		for range 6 {
			p.Templates = append(p.Templates, p.Templates[0])
		}
	}),
	policyError("optional tunnel", unix.EINVAL, "Mode in optional template not allowed in outbound policy", func(p *xfrm.Policy) { p.Templates[0].Optional = 1 }),
	policyError("transport mode of another family", unix.EINVAL, "Mode in template doesn't support a family change",
		func(p *xfrm.Policy) { p.Templates[0].Mode, p.Templates[0].Family = xfrm.ModeTransport, xfrm.FamilyIPv6 }),
	policyError("template's mode", unix.EINVAL, "Mode in template must be < XFRM_MODE_MAX (6)", func(p *xfrm.Policy) { p.Templates[0].Mode = 6 }),
	policyError("template's family", unix.EINVAL, "Invalid family in template", func(p *xfrm.Policy) { p.Templates[0].Family = 7 }),
	policyError("template's protocol", unix.EINVAL, "Invalid XFRM protocol in template", func(p *xfrm.Policy) { p.Templates[0].Proto = 17 }),
	policyError("label of a wrong length", unix.EINVAL, "Invalid security context length", func(p *xfrm.Policy) { p.Label = "\x09\x00\x08\x00\x01\x01\x00\x00" }),
	{"a struct without its padding", func(e *env) {
		p := outPolicy()
		p.Templates = nil
		e.refused(unix.EINVAL, "Invalid header length", edit(xfrm.NewPolicy(&p), func(b []byte) []byte { return b[:164] }))
	}},
	{"a policy that is not there", func(e *env) {
		p := outPolicy()
		e.refused(unix.ENOENT, "", xfrmtest.GetPolicyBySelector(&p))
		e.refused(unix.ENOENT, "", xfrmtest.DeletePolicyBySelector(&p))
		p.Index = 1
		e.refused(unix.ENOENT, "", xfrm.GetPolicy(&p))
		e.refused(unix.ENOENT, "", xfrm.DeletePolicy(&p))
		p.Dir = xfrm.DirIn // not the index's
		e.refused(unix.ENOENT, "", xfrm.DeletePolicy(&p))
		p.Dir = 3
		e.refused(unix.EINVAL, "Invalid policy direction", xfrm.DeletePolicy(&p))
	}},
	{"a label is stored with a NUL more, and goes back as it was read", func(e *env) {
		p := outPolicy()
		p.Label = "\x0a\x00\x08\x00\x01\x01\x02\x00ab" // struct xfrm_user_sec_ctx: length, type, algorithm, domain, length of the context
		e.ok(xfrm.NewPolicy(&p))
		stored := e.policies()[0]
		equal(e, "label", stored.Label, "\x0b\x00\x08\x00\x01\x01\x03\x00ab\x00")
		e.ok(xfrm.UpdatePolicy(&stored))
		equal(e, "label after an update", e.policies()[0].Label, stored.Label)
		e.refused(unix.EEXIST, "", xfrm.NewPolicy(&stored))
		e.ok(xfrm.GetPolicyByKey(&stored))
		e.ok(xfrmtest.DeletePolicyBySelector(&stored))
	}},
	{"mark, if_id and type have to be the policy's, even with an index", func(e *env) {
		p := outPolicy()
		p.Mark, p.IfID = xfrm.Mark{Value: 1, Mask: 1}, 7
		e.ok(xfrm.NewPolicy(&p))
		p = e.policies()[0]
		for _, change := range []func(*xfrm.Policy){
			func(p *xfrm.Policy) { p.Mark = xfrm.Mark{} },
			func(p *xfrm.Policy) { p.IfID = 0 },
			func(p *xfrm.Policy) { p.Type = xfrm.PolicySub },
		} {
			q := p
			change(&q)
			e.refused(unix.ENOENT, "", xfrm.DeletePolicy(&q))
			e.refused(unix.ENOENT, "", xfrmtest.DeletePolicyBySelector(&q))
		}
		e.ok(xfrm.DeletePolicy(&p))
	}},
}
