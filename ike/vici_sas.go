package ike

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/strongswan/govici/vici"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// ChildSAs lists what charon has.
func (v *VICI) ChildSAs(ctx context.Context) ([]ChildSA, error) {
	ikes, err := v.ikeSAs(ctx, nil)
	return childrenOf(ikes), err
}

func childrenOf(ikes []ikeSA) (all []ChildSA) {
	for i := range ikes {
		all = append(all, ikes[i].children...)
	}
	return all
}

// ikeSA is an IKE SA as charon tells of it.
type ikeSA struct {
	connection, id, state string
	local, remote         string // addresses; while it is being set up, they may not be known yet
	initiator             bool   // this host initiated it
	children              []ChildSA
}

// ikeSAs lists those that a question is about.
func (v *VICI) ikeSAs(ctx context.Context, in *vici.Message) ([]ikeSA, error) {
	_, events, err := v.ask(ctx, "list-sas", "list-sa", in)
	if err != nil {
		return nil, err
	}
	var all []ikeSA
	for _, e := range events {
		for _, name := range e.Keys() {
			m, ok := e.Get(name).(*vici.Message)
			if !ok {
				continue
			}
			s := ikeSA{
				connection: name, id: text(m, "uniqueid"), state: text(m, "state"),
				local: text(m, "local-host"), remote: text(m, "remote-host"), initiator: text(m, "initiator") == "yes",
			}
			if err := s.readChildren(section(m, "child-sas")); err != nil {
				return nil, fmt.Errorf("%v says of connection %s: %w", v, name, err)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func (s *ikeSA) readChildren(children *vici.Message) error {
	if children == nil {
		return nil
	}
	local, errLocal := netip.ParseAddr(s.local)
	remote, errRemote := netip.ParseAddr(s.remote)
	for _, key := range children.Keys() {
		m, ok := children.Get(key).(*vici.Message)
		if !ok {
			continue
		}
		f := &fields{m: m}
		c := ChildSA{
			Connection: s.connection, Child: text(m, "name"), ID: text(m, "uniqueid"), IKE: s.id,
			Initiator: s.initiator,
			Up:        s.state == "ESTABLISHED" && text(m, "state") == "INSTALLED",
			Local:     local, Remote: remote,
			Proto: protocols[text(m, "protocol")], Mode: modes[text(m, "mode")],
			In: xfrm.SPI(f.number("spi-in", 16)), Out: xfrm.SPI(f.number("spi-out", 16)),
			InCPI: xfrm.SPI(f.number("cpi-in", 16)), OutCPI: xfrm.SPI(f.number("cpi-out", 16)),
			Reqid: f.number("reqid", 10), IfIDIn: f.number("if-id-in", 16), IfIDOut: f.number("if-id-out", 16),
			LocalTS: list(m, "local-ts"), RemoteTS: list(m, "remote-ts"),
		}
		for _, err := range []error{errLocal, errRemote, f.err} {
			if err != nil {
				return fmt.Errorf("child %s: %w", key, err)
			}
		}
		s.children = append(s.children, c)
	}
	return nil
}

var protocols = map[string]xfrm.Proto{"ESP": xfrm.ProtoESP, "AH": xfrm.ProtoAH}

var modes = map[string]xfrm.Mode{"TRANSPORT": xfrm.ModeTransport, "TUNNEL": xfrm.ModeTunnel, "BEET": xfrm.ModeBEET}

// fields reads numbers from a message. The first error sticks; what is not there is 0.
type fields struct {
	m   *vici.Message
	err error
}

func (f *fields) number(key string, base int) uint32 {
	s := text(f.m, key)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, base, 32)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", key, err)
	}
	return uint32(n)
}

// text returns a value, empty if there is none.
func text(m *vici.Message, key string) string {
	s, _ := m.Get(key).(string)
	return s
}

// list returns a list in order, empty if there is none.
func list(m *vici.Message, key string) []string {
	l, _ := m.Get(key).([]string)
	return slices.Sorted(slices.Values(l))
}

func section(m *vici.Message, key string) *vici.Message {
	s, _ := m.Get(key).(*vici.Message)
	return s
}
