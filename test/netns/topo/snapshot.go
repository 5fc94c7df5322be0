package topo

import (
	"cmp"
	"fmt"
	"slices"
)

// Snapshot is what a gateway's kernel holds at a moment: SAs by SPI, policies by index.
type Snapshot struct {
	SAs      []SA
	Policies []Policy
}

// Snap reads a gateway.
func Snap(ns Namespace) (s Snapshot, err error) {
	if s.SAs, err = ns.SAD(); err != nil {
		return s, err
	}
	if s.Policies, err = ns.SPD(); err != nil {
		return s, err
	}
	slices.SortFunc(s.SAs, func(a, b SA) int { return cmp.Compare(a.SPI, b.SPI) })
	slices.SortFunc(s.Policies, func(a, b Policy) int { return cmp.Compare(a.Index, b.Index) })
	return s, nil
}

// Same says what is not in s as it is in want, counters included.
func (s Snapshot) Same(want Snapshot) error {
	return s.compare(want, func(got, want SA) bool { return got == want })
}

// SameUnderTraffic is Same while packets pass: counters may have gone on, and none may have gone back.
func (s Snapshot) SameUnderTraffic(want Snapshot) error {
	return s.compare(want, func(got, want SA) bool {
		if got.Seq < want.Seq || got.OSeq < want.OSeq || got.Bytes < want.Bytes || got.Packets < want.Packets {
			return false
		}
		got.Seq, got.OSeq, got.Bytes, got.Packets = want.Seq, want.OSeq, want.Bytes, want.Packets
		return got == want
	})
}

func (s Snapshot) compare(want Snapshot, same func(got, want SA) bool) error {
	if len(s.SAs) != len(want.SAs) || len(s.Policies) != len(want.Policies) {
		return fmt.Errorf("%d SAs and %d policies, want %d and %d", len(s.SAs), len(s.Policies), len(want.SAs), len(want.Policies))
	}
	for i := range s.SAs {
		if got, want := s.SAs[i], want.SAs[i]; !same(got, want) {
			return fmt.Errorf("SA %08x is %v > %v, sent %d, received %d\n%swant %08x %v > %v, sent %d, received %d\n%s",
				got.SPI, got.Src, got.Dst, got.OSeq, got.Seq, got.Fixed, want.SPI, want.Src, want.Dst, want.OSeq, want.Seq, want.Fixed)
		}
	}
	for i := range s.Policies {
		if s.Policies[i] != want.Policies[i] {
			return fmt.Errorf("policy %v, want %v", s.Policies[i], want.Policies[i])
		}
	}
	return nil
}
