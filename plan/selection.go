package plan

import (
	"net/netip"
	"slices"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// selection is what the document says of some SAs only, made ready for looking up.
type selection struct {
	include, exclude, overrides *matches
}

func newSelection(d *Document) *selection {
	return &selection{
		include:   newMatches(len(d.Select.Include), func(i int) *Match { return &d.Select.Include[i] }),
		exclude:   newMatches(len(d.Select.Exclude), func(i int) *Match { return &d.Select.Exclude[i] }),
		overrides: newMatches(len(d.Overrides), func(i int) *Match { return &d.Overrides[i].Match }),
	}
}

// selected reports whether the document's selection takes the SA.
func (c *computation) selected(sa *xfrm.SA, dir xfrm.SADir) bool {
	in := c.selection.include
	return (in.n == 0 || in.any(sa, dir)) && !c.selection.exclude.any(sa, dir)
}

// matches finds the entries of a list that hold for an SA. Lists name thousands of SAs, as a rule by reqid or SPI: of
// those entries only the ones that name this one's are tried.
type matches struct {
	n       int
	entry   func(i int) *Match
	bySPI   map[xfrm.SPI][]int32
	byReqid map[uint32][]int32 // without an SPI
	others  []int32
}

func newMatches(n int, entry func(i int) *Match) *matches {
	m := &matches{n: n, entry: entry}
	for i := range n {
		switch e := entry(i); {
		case e.SPI != nil:
			m.bySPI = added(m.bySPI, *e.SPI, int32(i))
		case e.Reqid != nil:
			m.byReqid = added(m.byReqid, *e.Reqid, int32(i))
		default:
			m.others = append(m.others, int32(i))
		}
	}
	return m
}

// added adds to a map, which is made for the first.
func added[K comparable](m map[K][]int32, k K, i int32) map[K][]int32 {
	if m == nil {
		m = make(map[K][]int32)
	}
	m[k] = append(m[k], i)
	return m
}

// candidates are the numbers of all entries that can hold for the SA.
func (m *matches) candidates(sa *xfrm.SA) [3][]int32 {
	return [...][]int32{m.others, m.byReqid[sa.Reqid], m.bySPI[sa.ID.SPI]}
}

// any reports whether an entry holds for the SA.
func (m *matches) any(sa *xfrm.SA, dir xfrm.SADir) bool {
	if m.n == 0 {
		return false
	}
	for _, some := range m.candidates(sa) {
		if slices.ContainsFunc(some, func(i int32) bool { return m.entry(int(i)).holds(sa, dir) }) {
			return true
		}
	}
	return false
}

// all returns the numbers of the entries that hold for the SA, in their order.
func (m *matches) all(sa *xfrm.SA, dir xfrm.SADir) (found []int32) {
	if m.n == 0 {
		return nil
	}
	for _, some := range m.candidates(sa) {
		for _, i := range some {
			if m.entry(int(i)).holds(sa, dir) {
				found = append(found, i)
			}
		}
	}
	slices.Sort(found)
	return found
}

// holds reports whether every condition holds for the SA. Where nothing tells the direction, the local address is
// taken to be the source.
func (m *Match) holds(sa *xfrm.SA, dir xfrm.SADir) bool {
	local, remote := sa.SrcIP(), sa.DstIP()
	if dir == xfrm.SADirIn {
		local, remote = remote, local
	}
	return equalOrUnset(m.Reqid, sa.Reqid) &&
		equalOrUnset(m.IfID, sa.IfID) &&
		equalOrUnset(m.Mark, sa.Mark) &&
		equalOrUnset(m.Proto, sa.ID.Proto) &&
		equalOrUnset(m.Mode, sa.Mode) &&
		equalOrUnset(m.SPI, sa.ID.SPI) &&
		inOrUnset(m.Local, local) &&
		inOrUnset(m.Remote, remote)
}

func equalOrUnset[T comparable](want *T, got T) bool { return want == nil || *want == got }

func inOrUnset(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

// changes collects what the overrides set for the SA; a later entry wins field by field.
func (c *computation) changes(sa *xfrm.SA, dir xfrm.SADir) (all Changes) {
	for _, i := range c.selection.overrides.all(sa, dir) {
		set := &c.doc.Overrides[i].Set
		setIf(&all.Reqid, set.Reqid)
		setIf(&all.Encap, set.Encap)
		setIf(&all.Selector, set.Selector)
		setIf(&all.Mark, set.Mark)
		setIf(&all.OutputMark, set.OutputMark)
		setIf(&all.NATKeepalive, set.NATKeepalive)
		setIf(&all.MappingMaxAge, set.MappingMaxAge)
		setIf(&all.Offload, set.Offload)
	}
	return all
}

func setIf[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}
