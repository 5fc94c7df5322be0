package xfrm

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestTablesWithoutCounts: a kernel that doesn't tell how many there are, or tells nonsense, is read all the same.
func TestTablesWithoutCounts(t *testing.T) {
	for name, count := range map[string]uint32{"refused": 0, "too few": 1, "nonsense": ^uint32(0)} {
		t.Run(name, func(t *testing.T) {
			f, g := &fakeSocket{}, &fakeSocket{}
			answer := func(f *fakeSocket, reqs []Message) {
				for _, r := range reqs {
					switch {
					case r.Flags&unix.NLM_F_DUMP == 0 && count == 0:
						f.deliver(ack(r, unix.EOPNOTSUPP))
					case r.Type == MsgGetSADInfo:
						f.deliver(message(MsgNewSADInfo, 0, r.Seq, appendAttr32(make([]byte, 4), 1, count)))
					case r.Type == MsgGetSPDInfo:
						f.deliver(message(MsgNewSPDInfo, 0, r.Seq, make([]byte, 4)))
					case r.Type == MsgGetSA:
						for range 200 {
							f.deliver(message(MsgNewSA, 0, r.Seq, sampleSA()))
						}
						f.deliver(done(r.Seq))
					case r.Type == MsgGetPolicy:
						for range 200 {
							f.deliver(message(MsgNewPolicy, 0, r.Seq, samplePolicy()))
						}
						f.deliver(done(r.Seq))
					}
				}
			}
			f.answer = func(reqs []Message) { answer(f, reqs) }
			g.answer = func(reqs []Message) { answer(g, reqs) }
			sas, policies, err := Tables(NewConn(f), NewConn(g))
			if err != nil || len(sas) != 200 || len(policies) != 200 {
				t.Fatalf("%d SAs, %d policies, %v; want 200 of each", len(sas), len(policies), err)
			}
			want, err := DecodePolicy(samplePolicy())
			if err != nil {
				t.Fatal(err)
			}
			for i := range policies {
				if !policies[i].Same(&want) {
					t.Fatalf("policy %d is %+v, want %+v", i, policies[i], want)
				}
			}
			if cap(sas) > maxRoom {
				t.Errorf("room for %d SAs", cap(sas))
			}
		})
	}
}
