package topo

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// encrypted also wants ESP packets between the old addresses and between the new ones: a capture that had missed the traffic would
// hold nothing in the clear either.
func (o *Observation) encrypted(m Move) (string, error) {
	between := make(map[[2]netip.Addr]int)
	for i := range o.Wire {
		p := &o.Wire[i]
		if p.Inner() {
			return "", fmt.Errorf("protocol %d from %v to %v at %v", p.Proto, p.Src, p.Dst, p.At)
		}
		if _, ok := p.ESP(); ok {
			between[[2]netip.Addr{p.Src, p.Dst}]++
		}
	}
	for _, pair := range [][2]netip.Addr{{m.Left, m.Right}, {m.Right, m.Left}, {m.NewLeft, m.NewRight}, {m.NewRight, m.NewLeft}} {
		if between[pair] == 0 {
			return "", fmt.Errorf("no ESP packet from %v to %v was captured", pair[0], pair[1])
		}
	}
	return fmt.Sprintf("%d packets, ESP at old and new addresses", len(o.Wire)), nil
}

// continued compares the last sequence number from the old source with the first from the new one: SAs count up to it and go on.
func (o *Observation) continued(m Move) (string, error) {
	type span struct {
		old, new uint32 // the highest number at the old address, the lowest at the new one
	}
	spans := make(map[uint32]*span)
	for i := range o.Wire {
		p := &o.Wire[i]
		e, ok := p.ESP()
		if !ok {
			continue
		}
		s := spans[e.SPI]
		if s == nil {
			s = new(span)
			spans[e.SPI] = s
		}
		if moved := p.Src == m.apply(p.Src) && p.Dst == m.apply(p.Dst); !moved {
			s.old = max(s.old, e.Seq)
		} else if s.new == 0 || e.Seq < s.new {
			s.new = e.Seq
		}
	}
	if len(spans) != 2 {
		return "", fmt.Errorf("packets of %d SPIs, want one for each direction", len(spans))
	}
	var seen []string
	for _, spi := range slices.Sorted(maps.Keys(spans)) {
		s := spans[spi]
		if s.old == 0 || s.new == 0 {
			return "", fmt.Errorf("SPI %08x: no packet at both the old and the new addresses", spi)
		}
		if s.new <= s.old {
			return "", fmt.Errorf("SPI %08x: number %d at the new address, after %d at the old one", spi, s.new, s.old)
		}
		seen = append(seen, fmt.Sprintf("%d then %d", s.old, s.new))
	}
	return strings.Join(seen, ", "), nil
}

// unique: a number or an IV used twice with one key gives AES-GCM's key stream away.
func (o *Observation) unique(Move) (string, error) {
	type number struct{ spi, seq uint32 }
	type iv struct {
		spi uint32
		iv  [8]byte
	}
	numbers, ivs := make(map[number]bool), make(map[iv]bool)
	for i := range o.Wire {
		e, ok := o.Wire[i].ESP()
		if !ok {
			continue
		}
		n, v := number{e.SPI, e.Seq}, iv{e.SPI, e.IV}
		if numbers[n] || ivs[v] {
			return "", fmt.Errorf("SPI %08x: sequence number %d or its IV %x was sent before", e.SPI, e.Seq, e.IV)
		}
		numbers[n], ivs[v] = true, true
	}
	if len(numbers) == 0 {
		return "", errors.New("no ESP packets were captured")
	}
	return fmt.Sprintf("%d ESP packets", len(numbers)), nil
}
