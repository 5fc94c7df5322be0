package rollback_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// instants knows the policies over every packet that the oracle asks after, and follows them change by change: to look
// after every message costs no more with a hundred tunnels than with one.
type instants struct {
	over     *overs
	exposed  []exposure // by path, so that each is there once for each of its paths
	paths    []path
	watching []int // numbers of the paths over which a policy has come or gone since they were last asked after
}

// exposure is traffic that has to be protected: of a policy, or of what stands in its place, one of the two.
type exposure struct {
	tunnel int
	dir    xfrm.Dir
	sel    xfrm.Selector
	paths  []int
}

// path is a packet in a direction, with the policies that match it in the order in which they are tried.
type path struct {
	dir    xfrm.Dir
	packet xfrmtest.Packet
	table  xfrmtest.Snapshot // without SAs: whether a packet needs one is up to the policies
}

// overs remembers which paths a selector is over, for all worlds that begin alike.
type overs struct {
	mu    sync.Mutex // guards known
	known map[overKey][]int
}

type overKey struct {
	dir xfrm.Dir
	sel xfrm.Selector
}

func newInstants(w *world) *instants {
	n := &instants{over: w.overs}
	for i := range w.tunnels {
		for j := range w.tunnels[i].Policies {
			p := &w.tunnels[i].Policies[j]
			e := exposure{tunnel: i, dir: p.Dir, sel: p.Sel, paths: []int{len(n.paths)}}
			sels := []xfrm.Selector{p.Sel}
			if w.shapes[i].reselected {
				e.paths, sels = append(e.paths, len(n.paths)+1), append(sels, reselect(p.Sel))
			}
			for _, sel := range sels {
				n.paths = append(n.paths, path{dir: p.Dir, packet: xfrmtest.Example(&sel)})
				n.exposed = append(n.exposed, e)
			}
		}
	}
	w.k.Changes()
	for _, p := range w.k.Snapshot().Policies {
		n.come(p)
	}
	n.watching = nil
	return n
}

// follow takes over what has changed.
func (n *instants) follow(all []xfrmtest.PolicyChange) {
	for i := range all {
		if c := &all[i]; c.Gone {
			n.gone(&c.Policy)
		} else {
			n.come(&c.Policy)
		}
	}
}

func (n *instants) come(p *xfrm.Policy) {
	for _, i := range n.overWhich(p) {
		of := &n.paths[i].table.Policies
		at := slices.IndexFunc(*of, func(q *xfrm.Policy) bool { return q.Priority > p.Priority })
		if at < 0 {
			at = len(*of) // the youngest of its priority
		}
		*of = slices.Insert(*of, at, p)
		n.watching = append(n.watching, i)
	}
}

func (n *instants) gone(p *xfrm.Policy) {
	for _, i := range n.overWhich(p) {
		of := &n.paths[i].table.Policies
		*of = slices.DeleteFunc(*of, func(q *xfrm.Policy) bool { return q.Index == p.Index })
		n.watching = append(n.watching, i)
	}
}

// overWhich returns the paths that a policy's selector matches, those of other marks and interfaces included.
func (n *instants) overWhich(p *xfrm.Policy) (all []int) {
	n.over.mu.Lock()
	defer n.over.mu.Unlock()
	key := overKey{p.Dir, p.Sel}
	all, known := n.over.known[key]
	if known {
		return all
	}
	alone := xfrmtest.Snapshot{Policies: []*xfrm.Policy{{Sel: p.Sel, Dir: p.Dir}}}
	for i := range n.paths {
		// The main policies that a sub-policy of direction fwd goes with are those of direction in.
		mayDecide := n.paths[i].dir == p.Dir || n.paths[i].dir == xfrm.DirFwd && p.Dir == xfrm.DirIn
		if mayDecide && alone.Match(p.Dir, n.paths[i].packet) != nil {
			all = append(all, i)
		}
	}
	n.over.known[key] = all
	return all
}

// clear reports whether a path's packet passes without IPsec.
func (p *path) clear() bool { return clear(&p.table, p.dir, p.packet) }

// clearNow returns what has become exposed where policies have come or gone since the last call.
func (n *instants) clearNow() (all []*exposure) {
	for _, i := range n.watching {
		e := &n.exposed[i]
		if !slices.ContainsFunc(e.paths, func(i int) bool { return !n.paths[i].clear() }) {
			all = append(all, e)
		}
	}
	n.watching = n.watching[:0]
	return all
}

// TestInstantsFollowTheTables lets policies come and go over the same packets, with the same priorities, and holds what is known
// from the changes against the tables.
func TestInstantsFollowTheTables(t *testing.T) {
	w := newWorld(t, shapes[0], shapes[3])
	n := newInstants(w)
	r := rand.New(rand.NewPCG(1, 1))
	c := w.k.Dial()
	defer c.Close()
	inClear := 0
	for range 3000 {
		p := w.tunnels[r.IntN(2)].Policies[r.IntN(6)]
		switch r.IntN(3) {
		case 0:
			p.Sel = reselect(p.Sel)
		case 1:
			p.Sel.SrcLen, p.Sel.DstLen = 0, 0
		}
		p.Priority, p.Action = uint32(r.IntN(3)), []xfrm.Action{xfrm.Allow, xfrm.Block}[r.IntN(2)]
		p.Sel.Proto = uint8(17 * r.IntN(2)) // beside the same one for all protocols
		if r.IntN(2) == 0 {
			p.Templates = nil
		}
		if r.IntN(3) == 0 {
			c.Do(xfrmtest.DeletePolicyBySelector(&p)) // there may be none
		} else if err := c.Do(xfrm.UpdatePolicy(&p))[0]; err != nil {
			t.Fatal(err)
		}
		n.follow(w.k.Changes().Policies)
		s := w.k.Snapshot()
		for i := range n.paths {
			want := clear(s, n.paths[i].dir, n.paths[i].packet)
			if got := n.paths[i].clear(); got != want {
				t.Fatalf("%v %v passes in the clear: %v, want %v", n.paths[i].dir, n.paths[i].packet, got, want)
			}
			if want {
				inClear++
			}
		}
	}
	if inClear == 0 {
		t.Error("no packet has ever passed in the clear")
	}
}
