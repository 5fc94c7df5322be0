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
func (v *VICI) ChildSAs(ctx context.Context) ([]ChildSA, error) { return v.childSAs(ctx, nil) }

// childSAs lists those that a question is about.
func (v *VICI) childSAs(ctx context.Context, in *vici.Message) ([]ChildSA, error) {
	_, events, err := v.ask(ctx, "list-sas", "list-sa", in)
	if err != nil {
		return nil, err
	}
	var all []ChildSA
	for _, e := range events {
		for _, name := range e.Keys() {
			ike, ok := e.Get(name).(*vici.Message)
			if !ok {
				continue
			}
			children, err := childSAsOf(name, ike)
			if err != nil {
				return nil, fmt.Errorf("%v says of connection %s: %w", v, name, err)
			}
			all = append(all, children...)
		}
	}
	return all, nil
}

func childSAsOf(connection string, ike *vici.Message) ([]ChildSA, error) {
	children := section(ike, "child-sas")
	if children == nil {
		return nil, nil
	}
	var all []ChildSA
	local, errLocal := netip.ParseAddr(text(ike, "local-host"))
	remote, errRemote := netip.ParseAddr(text(ike, "remote-host"))
	for _, key := range children.Keys() {
		m, ok := children.Get(key).(*vici.Message)
		if !ok {
			continue
		}
		f := &fields{m: m}
		c := ChildSA{
			Connection: connection, Child: text(m, "name"), ID: text(m, "uniqueid"), IKE: text(ike, "uniqueid"),
			Initiator: text(ike, "initiator") == "yes",
			Up:        text(ike, "state") == "ESTABLISHED" && text(m, "state") == "INSTALLED",
			Local:     local, Remote: remote,
			Proto: protocols[text(m, "protocol")], Mode: modes[text(m, "mode")],
			In: xfrm.SPI(f.number("spi-in", 16)), Out: xfrm.SPI(f.number("spi-out", 16)),
			InCPI: xfrm.SPI(f.number("cpi-in", 16)), OutCPI: xfrm.SPI(f.number("cpi-out", 16)),
			Reqid: f.number("reqid", 10), IfIDIn: f.number("if-id-in", 16), IfIDOut: f.number("if-id-out", 16),
			LocalTS: list(m, "local-ts"), RemoteTS: list(m, "remote-ts"),
		}
		for _, err := range []error{errLocal, errRemote, f.err} {
			if err != nil {
				return nil, fmt.Errorf("child %s: %w", key, err)
			}
		}
		all = append(all, c)
	}
	return all, nil
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
