package xfrm

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// layout is what a C compiler says of the kernel's header: testdata/layout/layout.txt, made by layout.c beside it. The
// header of the machine that runs the test may be too old to know MIGRATE_STATE.
type layout struct {
	structs map[string]int
	fields  map[string]span // by "struct.field"
	numbers map[string]uint64
}

type span struct{ offset, size int }

func readLayout(t *testing.T) layout {
	t.Helper()
	f, err := os.Open("testdata/layout/layout.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := layout{map[string]int{}, map[string]span{}, map[string]uint64{}}
	for s := bufio.NewScanner(f); s.Scan(); {
		var name string
		var at span
		var n uint64
		switch line := s.Text(); {
		case scan(line, "struct %s %d", &name, &at.size):
			l.structs[name] = at.size
		case scan(line, "field %s %d %d", &name, &at.offset, &at.size):
			l.fields[name] = at
		case scan(line, "number %s %d", &name, &n):
			l.numbers[name] = n
		case !strings.HasPrefix(line, "# "):
			t.Fatalf("layout.txt: %q", line)
		}
	}
	return l
}

func scan(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return n == len(into) && err == nil
}

// member is a field of a C struct: how to set it in the Go struct that stands for it, and the bytes it then has on the
// wire. With a nil set the Go struct leaves the field out: it is sent as zero and ignored when received.
type member[T any] struct {
	name string
	set  func(*T)
	wire []byte
}

// checkLayout sets one field after the other, encodes, and looks for its bytes where the C compiler puts the field; and
// decodes these bytes back. A nil encode or decode is one that the package doesn't have. Every field of the C struct
// has to be among the members.
func checkLayout[T any](t *testing.T, l layout, name string, size int, encode func(*T) []byte, decode func([]byte) T, members []member[T]) {
	t.Run(name, func(t *testing.T) {
		if got, want := size, l.structs[name]; got != want {
			t.Fatalf("size %d, the header's %d", got, want)
		}
		seen := map[string]bool{}
		for _, m := range members {
			full := name + "." + m.name
			at, ok := l.fields[full]
			if !ok {
				t.Errorf("%s is not in layout.txt", full)
				continue
			}
			seen[full] = true
			if m.set == nil {
				continue
			}
			if len(m.wire) != at.size {
				t.Errorf("%s: the test's value has %d bytes, the field %d", full, len(m.wire), at.size)
				continue
			}
			want := make([]byte, size)
			copy(want[at.offset:], m.wire)
			var v T
			if decode != nil {
				v = decode(make([]byte, size))
			}
			m.set(&v)
			if encode != nil {
				if got := encode(&v); !bytes.Equal(got, want) {
					t.Errorf("%s encoded\ngot  %x\nwant %x", full, got, want)
				}
			}
			if decode != nil {
				if got := decode(want); !reflect.DeepEqual(got, v) {
					t.Errorf("%s decoded\ngot  %+v\nwant %+v", full, got, v)
				}
			}
		}
		for full := range l.fields {
			if strings.HasPrefix(full, name+".") && !seen[full] {
				t.Errorf("%s is not tested", full)
			}
		}
	})
}

// b16 and so on give a number's bytes in the machine's order, n16 and n32 in network order.
func b16(v uint16) []byte { return ne.AppendUint16(nil, v) }
func b32(v uint32) []byte { return ne.AppendUint32(nil, v) }
func b64(v uint64) []byte { return ne.AppendUint64(nil, v) }
func n16(v uint16) []byte { return be.AppendUint16(nil, v) }
func n32(v uint32) []byte { return be.AppendUint32(nil, v) }

// addr is an Address with no two bytes alike.
var addr = Address{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
