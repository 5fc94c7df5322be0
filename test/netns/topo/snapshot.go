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
	if len(s.SAs) != len(want.SAs) || len(s.Policies) != len(want.Policies) {
		return fmt.Errorf("%d SAs and %d policies, want %d and %d", len(s.SAs), len(s.Policies), len(want.SAs), len(want.Policies))
	}
	for i := range s.SAs {
		if got, want := s.SAs[i], want.SAs[i]; got != want {
			return fmt.Errorf("SA %08x is %v > %v\n%swant %08x %v > %v\n%s", got.SPI, got.Src, got.Dst, got.Fixed, want.SPI, want.Src, want.Dst, want.Fixed)
		}
	}
	for i := range s.Policies {
		if s.Policies[i] != want.Policies[i] {
			return fmt.Errorf("policy %v, want %v", s.Policies[i], want.Policies[i])
		}
	}
	return nil
}
