package ike

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A charon is a VICI server that plays one. Its wire format is written down here once more, from strongSwan's description of the protocol, so that the library is
// not its own judge.
type charon struct {
	t      *testing.T
	socket string
	answer func(command string, args tree) reply

	mu    sync.Mutex // guards asked
	asked []string   // commands with what identifies their object
}

// tree is a message: values are string, []string or tree.
type tree []pair

type pair struct {
	key   string
	value any
}

// reply is what comes back: events, then the answer.
type reply struct {
	event  string
	events []tree
	answer tree
	hang   bool // nothing comes, and the connection stays
	drop   bool // the connection ends
	raw    []byte
}

func startCharon(t *testing.T, answer func(command string, args tree) reply) *charon {
	t.Helper()
	c := &charon{t: t, socket: filepath.Join(t.TempDir(), "charon.vici"), answer: answer}
	l, err := net.Listen("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

// Packet types and element types of the protocol.
const (
	cmdRequest, cmdResponse, eventRegister, eventConfirm, event = 0, 1, 3, 5, 7

	sectionStart, sectionEnd, keyValue, listStart, listItem, listEnd = 1, 2, 3, 4, 5, 6
)

func (c *charon) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, b); err != nil || len(b) < 2 {
			return
		}
		name := string(b[2 : 2+b[1]])
		if b[0] == eventRegister {
			send(conn, eventConfirm, "", nil)
			continue
		}
		args, _ := decodeTree(b[2+b[1]:])
		c.mu.Lock()
		c.asked = append(c.asked, name+identity(args))
		c.mu.Unlock()
		r := c.answer(name, args)
		switch {
		case r.hang:
			_, _ = io.Copy(io.Discard, conn)
			return
		case r.drop:
			return
		case r.raw != nil:
			_, _ = conn.Write(r.raw)
			continue
		}
		for _, e := range r.events {
			send(conn, event, r.event, e)
		}
		send(conn, cmdResponse, "", r.answer)
	}
}

// all lists what was asked.
func (c *charon) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// commands lists what was asked for, without questions.
func (c *charon) commands() (all []string) {
	for _, a := range c.all() {
		if !strings.HasPrefix(a, "list-") {
			all = append(all, a)
		}
	}
	return all
}

func identity(args tree) (s string) {
	for _, p := range args {
		if v, ok := p.value.(string); ok && p.key != "timeout" {
			s += " " + p.key + "=" + v
		}
	}
	return s
}

func send(w io.Writer, typ byte, name string, t tree) {
	b := []byte{typ}
	if typ == event {
		b = append(append(b, byte(len(name))), name...)
	}
	b = appendTree(b, t)
	_, _ = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
}

func appendTree(b []byte, t tree) []byte {
	name := func(b []byte, typ byte, s string) []byte { return append(append(b, typ, byte(len(s))), s...) }
	value := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	for _, p := range t {
		switch v := p.value.(type) {
		case string:
			b = value(name(b, keyValue, p.key), v)
		case []string:
			b = name(b, listStart, p.key)
			for _, s := range v {
				b = value(append(b, listItem), s)
			}
			b = append(b, listEnd)
		case tree:
			b = append(appendTree(name(b, sectionStart, p.key), v), sectionEnd)
		}
	}
	return b
}

// decodeTree reads the values of a request; requests of ours have no sections.
func decodeTree(b []byte) (t tree, err error) {
	for len(b) > 0 {
		if b[0] != keyValue || len(b) < 2 {
			return t, errors.New("not a value")
		}
		key := string(b[2 : 2+b[1]])
		b = b[2+b[1]:]
		n := binary.BigEndian.Uint16(b)
		t = append(t, pair{key, string(b[2 : 2+n])})
		b = b[2+n:]
	}
	return t, nil
}
