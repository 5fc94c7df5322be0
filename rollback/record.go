package rollback

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// formatVersion changes when a reader of the old format would misread the new one.
const formatVersion = 1

// Header opens a journal.
type Header struct {
	Version int       `json:"version"`
	Run     string    `json:"run"`
	Plan    string    `json:"plan"`
	Digest  string    `json:"digest"` // of the plan file
	BootID  string    `json:"bootID"`
	NetNS   string    `json:"netns"` // its name, empty for the one that apply ran in
	Cookie  uint64    `json:"netnsCookie"`
	Started time.Time `json:"started"`

	// Boottime orders the runs of one boot: Started goes back when the clock is set back. Missing in older journals.
	Boottime Boottime `json:"boottimeNanoseconds,omitempty"`

	// For status, and missing in older journals.
	Process int          `json:"process,omitempty"`
	Waves   []HeaderWave `json:"waves,omitempty"`
}

// decode reads a header. The fields version, bootID and netnsCookie mean the same in every format, so that what ended with
// another boot or network namespace stands in nobody's way.
func (h *Header) decode(b []byte) error {
	var lasting struct {
		Version int    `json:"version"`
		BootID  string `json:"bootID"`
		Cookie  uint64 `json:"netnsCookie"`
	}
	if err := unmarshal(b, &lasting); err != nil {
		return err
	}
	if lasting.Version != formatVersion {
		*h = Header{Version: lasting.Version, BootID: lasting.BootID, Cookie: lasting.Cookie}
		return fmt.Errorf("%w: it is of version %d and this program knows version %d", ErrVersion, lasting.Version, formatVersion)
	}
	return unmarshal(b, h)
}

// Before reports whether the run began before another one of the same boot.
func (h *Header) Before(o *Header) bool {
	if h.Boottime != 0 && o.Boottime != 0 {
		return h.Boottime < o.Boottime
	}
	return h.Started.Before(o.Started)
}

// HeaderWave is a wave of the run's plan.
type HeaderWave struct {
	Name   string `json:"wave"`
	Groups int    `json:"groups"`
}

// Kinds of payloads: their first byte.
const (
	kindHeader   = 'H' // JSON Header
	kindIntent   = 'I' // a Transaction, in the encoding below
	kindSettled  = 'S' // JSON settled
	kindResumed  = 'R' // JSON resumed: recover or rollback begins; what follows is theirs
	kindAwaiting = 'A' // JSON awaiting: all is done and has to be confirmed
	kindDaemon   = 'D' // JSON ike.Note: what an IKE daemon was told, or is about to be
	kindEnd      = 'E' // the run is over, whatever came of it; text, if something else than its end ended it
)

type settled struct {
	Group   string           `json:"group"`
	Outcome executor.Outcome `json:"outcome"`
}

type resumed struct {
	Towards executor.Outcome `json:"towards"`
	At      time.Time        `json:"at"`
}

func jsonPayload(kind byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append([]byte{kind}, b...), err
}

// appendTransaction appends an intent: the wire form of every message that the transaction needs, there and back.
// Strings and messages have a u32 length in front.
func appendTransaction(b []byte, t *executor.Transaction) []byte {
	b = append(b, kindIntent)
	b = appendSized(b, func(b []byte) []byte { return append(b, t.Name...) })
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Moves)))
	for i := range t.Moves {
		m := &t.Moves[i]
		b = append(b, byte(m.Dir), byte(m.Mode))
		b = binary.LittleEndian.AppendUint32(b, m.IfID)
		b = binary.LittleEndian.AppendUint64(b, m.Added)
		b = binary.LittleEndian.AppendUint64(b, m.Sent)
		b = binary.LittleEndian.AppendUint64(b, m.Received)
		if m.Hop == nil {
			b = appendSized(b, nothing)
		} else {
			b = appendSized(b, m.Hop.AppendTo)
		}
		b = appendSized(b, m.There.AppendTo)
		b = appendSized(b, m.Back.AppendTo)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Policies)))
	for i := range t.Policies {
		p := &t.Policies[i]
		b = appendSized(b, p.Old.AppendTo)
		if p.New == nil {
			b = appendSized(b, nothing)
		} else {
			b = appendSized(b, p.New.AppendTo)
		}
	}
	return b
}

// appendSized appends what f appends, with its length in front.
func appendSized(b []byte, f func([]byte) []byte) []byte {
	at := len(b)
	b = f(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func nothing(b []byte) []byte { return b }

var errRecord = errors.New("a record is shorter than it says")

// reader takes an intent apart. The first error sticks.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = errors.Join(r.err, errRecord)
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) u32() uint32 {
	if s := r.take(4); s != nil {
		return binary.LittleEndian.Uint32(s)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if s := r.take(8); s != nil {
		return binary.LittleEndian.Uint64(s)
	}
	return 0
}

func (r *reader) bytes() []byte { return r.take(int(r.u32())) }

func (r *reader) migration() xfrm.Migration {
	m, err := xfrm.DecodeMigration(r.bytes())
	if r.err == nil {
		r.err = err
	}
	return m
}

// policy returns nil where none was written.
func (r *reader) policy() *xfrm.Policy {
	s := r.bytes()
	if r.err != nil || len(s) == 0 {
		return nil
	}
	p, err := xfrm.DecodePolicy(s)
	r.err = err
	return &p
}

func decodeTransaction(b []byte) (t executor.Transaction, err error) {
	r := &reader{b: b}
	t.Name = string(r.bytes())
	for range r.u32() {
		if r.err != nil {
			break
		}
		m := executor.Move{}
		if s := r.take(2); s != nil {
			m.Dir, m.Mode = xfrm.SADir(s[0]), xfrm.Mode(s[1])
		}
		m.IfID = r.u32()
		m.Added, m.Sent, m.Received = r.u64(), r.u64(), r.u64()
		if s := r.bytes(); r.err == nil && len(s) != 0 {
			var id xfrm.SAID
			id, r.err = xfrm.DecodeSAID(s)
			m.Hop = &id
		}
		m.There, m.Back = r.migration(), r.migration()
		t.Moves = append(t.Moves, m)
	}
	for range r.u32() {
		if r.err != nil {
			break
		}
		pc := plan.PolicyChange{Old: r.policy(), New: r.policy()}
		if pc.Old == nil && r.err == nil {
			r.err = errors.New("a record changes a policy and does not say which")
		}
		t.Policies = append(t.Policies, pc)
	}
	if r.err == nil && len(r.b) != 0 {
		r.err = fmt.Errorf("%d bytes too many: %w", len(r.b), errRecord)
	}
	return t, r.err
}
