//go:build lab

package crash

import (
	"path/filepath"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// wire is all that the gateways have sent, captured bit by bit: the files of a long test would not fit.
type wire struct {
	dir      string
	captures []*topo.Capture

	packets, esp int
	moved        int // ESP packets from the new address
	numbers      map[number]bool
	ivs          map[iv]bool
}

type number struct{ spi, seq uint32 }

type iv struct {
	spi uint32
	iv  [8]byte
}

func tap(t *testing.T) *wire {
	t.Helper()
	w := &wire{dir: t.TempDir(), numbers: make(map[number]bool), ivs: make(map[iv]bool)}
	w.start(t)
	return w
}

func (w *wire) start(t *testing.T) {
	t.Helper()
	w.captures = nil
	for _, iface := range []string{topo.LeftUplinks[0], topo.LeftUplinks[1], topo.RightUplink} {
		c, err := topo.StartCapture(iface, filepath.Join(w.dir, iface))
		if err != nil {
			t.Fatal(err)
		}
		w.captures = append(w.captures, c)
	}
}

// check ends the captures and looks at them: nothing of the inner networks in the clear, and no number or IV that was
// sent before under the same key.
func (w *wire) check(t *testing.T) {
	t.Helper()
	for _, c := range w.captures {
		packets, err := c.Stop()
		if err != nil {
			t.Fatal(err)
		}
		w.packets += len(packets)
		for i := range packets {
			p := &packets[i]
			if p.Inner() {
				t.Fatalf("protocol %d from %v to %v in the clear", p.Proto, p.Src, p.Dst)
			}
			e, ok := p.ESP()
			if !ok {
				continue
			}
			w.esp++
			if p.Src == topo.LeftISPB {
				w.moved++
			}
			n, v := number{e.SPI, e.Seq}, iv{e.SPI, e.IV}
			if w.numbers[n] || w.ivs[v] {
				t.Fatalf("SPI %08x: sequence number %d or its IV was sent before", e.SPI, e.Seq)
			}
			w.numbers[n], w.ivs[v] = true, true
		}
	}
}
