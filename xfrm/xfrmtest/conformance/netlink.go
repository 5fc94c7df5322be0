package conformance

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// receive reads one datagram's messages, types and flags only.
func (e *env) receive(s xfrm.Socket) (all []xfrm.Message, err error) {
	e.Helper()
	b := make([]byte, 64<<10)
	n, err := s.Receive(b)
	if err != nil {
		return nil, err
	}
	err = xfrm.EachMessage(b[:n], func(m xfrm.Message) error {
		all = append(all, m)
		return nil
	})
	return all, err
}

type answer struct {
	typ uint16
	seq uint32
}

const dumpFlags = unix.NLM_F_REQUEST | unix.NLM_F_DUMP

func (e *env) send(s xfrm.Socket, b []byte) {
	e.Helper()
	if err := s.Send(b); err != nil {
		e.Fatal(err)
	}
}

// fill adds n SAs.
func (e *env) fill(n int) {
	e.Helper()
	reqs := make([]xfrm.Request, n)
	for i := range reqs {
		reqs[i] = xfrmtest.NewSA(transport(hub, site, 0x1000+xfrm.SPI(i)), aes())
	}
	e.ok(reqs...)
}

var netlinkCases = []testCase{
	{"a message that fails does not keep the kernel from those behind it", func(e *env) {
		sa := transport(hub, site, 0x600)
		errs := e.c.Do(xfrmtest.NewSA(sa, aes()), xfrmtest.NewSA(sa, aes()), xfrmtest.DeleteSA(sa.ID, sa.Mark), xfrmtest.DeleteSA(sa.ID, sa.Mark))
		for i, want := range []error{nil, unix.EEXIST, nil, unix.ESRCH} {
			if !errors.Is(errs[i], want) {
				e.Errorf("request %d: %v, want %v", i, errs[i], want)
			}
		}
	}},
	{"a batch of more than one datagram", func(e *env) {
		e.fill(600)
		equal(e, "SAs", len(e.sas()), 600)
	}},
	{"a message without NLM_F_REQUEST, a control message and one that is cut off are not acted on", func(e *env) {
		s := e.ns.Socket()
		req := xfrmtest.NewSA(transport(hub, site, 0x601), aes())
		e.send(s, message(req, unix.NLM_F_ACK, 1))
		e.send(s, message(xfrm.Request{Type: unix.NLMSG_NOOP}, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 2))
		e.send(s, message(req, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 3)[:100])
		var seqs [3]uint32
		for i := range seqs {
			if m, err := e.receive(s); err == nil {
				seqs[i] = m[0].Seq
			}
		}
		equal(e, "acknowledged", seqs, [3]uint32{1, 2, 0})
		equal(e, "SAs", len(e.sas()), 0)
	}},
	{"messages that there are none of", func(e *env) {
		e.refused(unix.EINVAL, "", xfrm.Request{Type: 0x2a})
		e.refused(unix.EINVAL, "", xfrm.Request{Type: 0x200})
	}},
	{"a migration that nobody listened to says so in its acknowledgement", func(e *env) {
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hubNew, siteNew)
		answer := string(e.raw(m.Request()))
		const words = "Failed to send migration notification\x00"
		equal(e, "words", answer[len(answer)-len(words)-2:len(answer)-2], words)
	}},
	{"refusals come unasked and in order, before the acknowledgement of the last message", func(e *env) {
		s := e.ns.Socket()
		b := message(xfrm.Request{Type: 0x2a}, unix.NLM_F_REQUEST, 1)
		b = append(b, message(xfrm.GetSAStatus(xfrm.SAID{SPI: 0x700, Proto: xfrm.ProtoESP, Family: xfrm.FamilyIPv4}, xfrm.Mark{}), unix.NLM_F_REQUEST, 2)...)
		b = append(b, message(xfrm.Request{Type: xfrm.MsgGetSPDInfo, Payload: make([]byte, 4)}, unix.NLM_F_REQUEST, 3)...)
		p := outPolicy()
		b = append(b, message(xfrm.NewPolicy(&p), unix.NLM_F_REQUEST, 4)...)
		b = append(b, message(xfrm.DeletePolicy(&p), unix.NLM_F_REQUEST, 5)...) // of index 0 and a selector that there is none of
		b = append(b, message(xfrmtest.FlushPolicies(), unix.NLM_F_REQUEST|unix.NLM_F_ACK, 6)...)
		e.send(s, b)
		var got []answer
		for {
			m, err := e.receive(s)
			if err != nil {
				break
			}
			got = append(got, answer{m[0].Type, m[0].Seq})
		}
		want := []answer{{unix.NLMSG_ERROR, 1}, {unix.NLMSG_ERROR, 2}, {xfrm.MsgNewSPDInfo, 3}, {unix.NLMSG_ERROR, 5}, {unix.NLMSG_ERROR, 6}}
		if !slices.Equal(got, want) {
			e.Errorf("answers %v, want %v", got, want)
		}
	}},
	{"once an answer did not fit, all behind it are lost, and the next receive says so", func(e *env) {
		const refused = 12_000 // answers of 9 MB, to a datagram that the smallest send buffer takes
		var b []byte
		for i := range uint32(refused) {
			b = append(b, message(xfrm.Request{Type: 0x2a}, unix.NLM_F_REQUEST, i+1)...)
		}
		s := e.ns.Socket()
		e.send(s, append(b, message(xfrmtest.FlushPolicies(), unix.NLM_F_REQUEST|unix.NLM_F_ACK, refused+1)...))
		if _, err := e.receive(s); !errors.Is(err, unix.ENOBUFS) {
			e.Errorf("first receive: %v, want ENOBUFS", err)
		}
		n := uint32(0)
		for {
			m, err := e.receive(s)
			if err != nil {
				break
			}
			if n++; m[0].Seq != n {
				e.Fatalf("answer %d is to message %d", n, m[0].Seq)
			}
		}
		if n == 0 || n >= refused {
			e.Errorf("%d answers were kept, want some and not all", n)
		}
		e.send(s, message(xfrmtest.FlushPolicies(), unix.NLM_F_REQUEST|unix.NLM_F_ACK, refused+2))
		if m, err := e.receive(s); err != nil || m[0].Seq != refused+2 {
			e.Errorf("after all was read: %v, %v", m, err)
		}
	}},
	{"an empty dump is its end alone", func(e *env) {
		s := e.ns.Socket()
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetSA}, dumpFlags, 7))
		m, err := e.receive(s)
		if err != nil {
			e.Fatal(err)
		}
		equal(e, "messages", len(m), 1)
		equal(e, "type, flags, sequence", [3]uint32{uint32(m[0].Type), uint32(m[0].Flags), m[0].Seq}, [3]uint32{unix.NLMSG_DONE, unix.NLM_F_MULTI, 7})
	}},
	{"one dump at a time on a socket", func(e *env) {
		e.fill(100)
		s := e.ns.Socket()
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetSA}, dumpFlags, 1))
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetPolicy}, dumpFlags, 2))
		e.drain(s)
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetPolicy}, dumpFlags, 3))
		m, err := e.receive(s)
		if err != nil || m[0].Type != unix.NLMSG_DONE {
			e.Errorf("a dump after the first was read: %v, %v", m, err)
		}
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetSA}, dumpFlags, 4))
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetSA}, dumpFlags, 5))
		var busy int32
		for {
			m, err := e.receive(s)
			if err != nil {
				break
			}
			if m[0].Type == unix.NLMSG_ERROR && m[0].Seq == 5 {
				busy = int32(uint32(m[0].Payload[0]) | uint32(m[0].Payload[1])<<8 | uint32(m[0].Payload[2])<<16 | uint32(m[0].Payload[3])<<24)
			}
		}
		equal(e, "answer to the second", busy, -int32(unix.EBUSY))
	}},
	{"a dump misses an SA that moves before its turn, without a sign", func(e *env) {
		e.fill(200)
		s := e.ns.Socket()
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetSA}, dumpFlags, 1))
		sa := transport(hub, site, 0x1000) // the oldest, dumped last
		sa.Sel.Family = xfrm.FamilyIPv4
		m := moveTo(&sa, hubNew, siteNew)
		e.ok(m.Request())
		found, flags, n := 0, uint16(0), 0
		for {
			all, err := e.receive(s)
			if err != nil {
				break
			}
			for _, msg := range all {
				flags |= msg.Flags
				if msg.Type != xfrm.MsgNewSA {
					continue
				}
				n++
				if got, err := xfrm.DecodeSA(msg.Payload); err == nil && got.ID.SPI == 0x1000 {
					found++
				}
			}
		}
		equal(e, "SAs in the dump", n, 199)
		equal(e, "times that the moved one is there", found, 0)
		equal(e, "flags", flags, unix.NLM_F_MULTI)
	}},
	{"a policy dump misses one that is rewritten before its turn, without a sign", func(e *env) {
		p := outPolicy()
		for i := range uint32(200) {
			p.Sel.User = i
			e.ok(xfrm.NewPolicy(&p))
		}
		s := e.ns.Socket()
		e.send(s, message(xfrm.Request{Type: xfrm.MsgGetPolicy}, dumpFlags, 1))
		p.Sel.User = 0
		e.ok(xfrm.UpdatePolicy(&p))
		n, flags := 0, uint16(0)
		for {
			all, err := e.receive(s)
			if err != nil {
				break
			}
			for _, msg := range all {
				flags |= msg.Flags
				if msg.Type == xfrm.MsgNewPolicy {
					n++
				}
			}
		}
		equal(e, "policies in the dump", n, 199)
		equal(e, "flags", flags, unix.NLM_F_MULTI)
	}},
	{"the cookie is the namespace's", func(e *env) {
		a, err := e.c.Cookie()
		if err != nil {
			e.Fatal(err)
		}
		b, err := e.ns.Socket().Cookie()
		if err != nil || a == 0 || a != b {
			e.Errorf("cookies %d and %d, %v", a, b, err)
		}
	}},
}
