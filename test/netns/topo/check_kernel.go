package topo

import (
	"fmt"
	"slices"
	"strings"
)

func (o *Observation) calls(Move) (string, error) {
	var seen []string
	for _, ns := range Gateways {
		var spis []uint32
		for _, n := range o.Notices[ns] {
			if n.Type == MsgMigrateState {
				spis = append(spis, n.SPI)
			}
		}
		seen = append(seen, fmt.Sprintf("%s %d", ns, len(spis)))
		if want := spisOf(o.Before[ns].SAs); !slices.Equal(sorted(spis), want) {
			return "", fmt.Errorf("%s announced migrations of %08x, its SAs are %08x", ns, spis, want)
		}
	}
	return strings.Join(seen, ", "), nil
}

func (o *Observation) noAcquire(Move) (string, error) {
	for _, ns := range Gateways {
		if n := o.count(ns, MsgAcquire); n > 0 {
			return "", fmt.Errorf("%s sent %d", ns, n)
		}
	}
	return "none heard", nil
}

// noNegotiation: a migration is announced in the group MIGRATE alone, so any notification in the group SA is from the daemon.
func (o *Observation) noNegotiation(Move) (string, error) {
	const newSA, delSA, updSA, flushSA = 0x10, 0x11, 0x1a, 0x1c
	for _, ns := range Gateways {
		for _, typ := range []uint16{newSA, delSA, updSA, flushSA} {
			if n := o.count(ns, typ); n > 0 {
				return "", fmt.Errorf("%s announced %d times message 0x%02x", ns, n, typ)
			}
		}
	}
	return "no SA installed, updated or deleted", nil
}

func (o *Observation) kept(m Move) (string, error) {
	total := 0
	for _, ns := range Gateways {
		before, after := o.Before[ns].SAs, o.After[ns].SAs
		if len(before) != 2 || len(after) != 2 {
			return "", fmt.Errorf("%s had %d SAs and has %d", ns, len(before), len(after))
		}
		for i := range before {
			old := &before[i]
			j := slices.IndexFunc(after, func(sa SA) bool { return sa.SPI == old.SPI })
			if j < 0 {
				return "", fmt.Errorf("%s: SPI %08x is gone", ns, old.SPI)
			}
			if err := sameSA(old, &after[j], m); err != nil {
				return "", fmt.Errorf("%s: SPI %08x: %w", ns, old.SPI, err)
			}
			total++
		}
	}
	return fmt.Sprintf("%d SAs, keys compared by SHA-256", total), nil
}

func sameSA(old, moved *SA, m Move) error {
	switch {
	case moved.Src != m.apply(old.Src) || moved.Dst != m.apply(old.Dst):
		return fmt.Errorf("it is at %v > %v", moved.Src, moved.Dst)
	case moved.Keys != old.Keys:
		return fmt.Errorf("its keys have changed")
	case moved.Added != old.Added:
		return fmt.Errorf("it was added %s and is now of %s", old.Added, moved.Added)
	case moved.Fixed != old.Fixed:
		return fmt.Errorf("it was\n%sand is\n%s", old.Fixed, moved.Fixed)
	case moved.OSeq < old.OSeq || moved.Seq < old.Seq || moved.Bytes < old.Bytes || moved.Packets < old.Packets:
		return fmt.Errorf("a counter went back: sequence number sent %d, received %d, %d packets, before it %d, %d, %d",
			moved.OSeq, moved.Seq, moved.Packets, old.OSeq, old.Seq, old.Packets)
	}
	return nil
}

func (o *Observation) rewritten(m Move) (string, error) {
	total := 0
	for _, ns := range Gateways {
		local, remote := m.NewLeft.String(), m.NewRight.String()
		if ns == Right {
			local, remote = remote, local
		}
		before, after := o.Before[ns].Policies, o.After[ns].Policies
		if len(before) != 6 || len(after) != 6 {
			return "", fmt.Errorf("%s had %d policies and has %d", ns, len(before), len(after))
		}
		for _, old := range before {
			want := old
			if want.Template = remote + " > " + local; old.Dir == "out" {
				want.Template = local + " > " + remote
			}
			if !slices.Contains(after, want) {
				return "", fmt.Errorf("%s has no policy %v; it has %v", ns, want, after)
			}
			total++
		}
	}
	return fmt.Sprintf("%d, indexes and priorities kept", total), nil
}

func (o *Observation) unblocked(Move) (string, error) {
	for _, ns := range Gateways {
		if err := Unblocked(o.After[ns].Policies); err != nil {
			return "", fmt.Errorf("%s: %w", ns, err)
		}
	}
	return "every action is allow, every uid 0", nil
}

// Unblocked says whether policies are free of anything that the program puts there for a while.
func Unblocked(policies []Policy) error {
	for _, p := range policies {
		if p.Action != "allow" || p.UID != 0 {
			return fmt.Errorf("policy left behind: %v", p)
		}
	}
	return nil
}

func spisOf(sas []SA) []uint32 {
	all := make([]uint32, len(sas))
	for i := range sas {
		all[i] = sas[i].SPI
	}
	return sorted(all)
}

func sorted(s []uint32) []uint32 {
	slices.Sort(s)
	return s
}
