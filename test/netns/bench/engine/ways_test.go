//go:build lab

package engine

import (
	"github.com/xfrm-plan/xfrm-plan/test/netns/bench/engine/result"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// A plainWay lays out the datagrams that move one Child SA from one place to the other.
type plainWay func(from, to *xfrmtest.ChildSA) []datagram

// floorWay is what the engine's transaction can't do without, in as few messages as possible.
func (h *hub) floorWay() plainWay {
	if h.kind == result.IfID || h.n <= 64 {
		return smallFloor
	}
	return func(from, to *xfrmtest.ChildSA) []datagram { return datagramsOf(phases(from, to), datagramOf) }
}

// plainFloor is the same whatever the bins, with an acknowledgement of each message: what a loop sends that has not
// looked into how the kernel answers.
func plainFloor(from, to *xfrmtest.ChildSA) []datagram {
	return datagramsOf(phases(from, to), acknowledged)
}

func datagramsOf(phases [][]xfrm.Request, of func(...xfrm.Request) datagram) (all []datagram) {
	for _, reqs := range phases {
		all = append(all, of(reqs...))
	}
	return all
}

// phases are those of a transaction: tagged blocks; shadows and migrations; the policies, old out and new in; and the
// covers' end. They are written down here a second time, not taken from the engine: what that sends beyond this is to
// show.
func phases(from, to *xfrmtest.ChildSA) [][]xfrm.Request {
	var block, migrate, change, unblock []xfrm.Request
	for j := range from.Policies {
		old, next := &from.Policies[j], &to.Policies[j]
		cover := coverOver(old, next)
		if old.Dir == xfrm.DirOut {
			block = append(block, xfrm.NewPolicy(&cover))
		} else {
			migrate = append(migrate, xfrm.NewPolicy(&cover))
		}
		change = append(change, xfrm.DeletePolicy(old), xfrm.NewPolicy(next))
		unblock = append(unblock, xfrm.DeletePolicy(&cover))
	}
	migrate = append(migrate, migration(&from.In, &to.In), migration(&from.Out, &to.Out))
	return [][]xfrm.Request{block, migrate, change, unblock}
}

// smallFloor is for bins so small that the kernel's walk through them costs less than the messages that it saves: what
// is replaced is so in place.
func smallFloor(from, to *xfrmtest.ChildSA) []datagram {
	var block, migrate, change, unblock []xfrm.Request
	for j := range from.Policies {
		old, next := &from.Policies[j], &to.Policies[j]
		if old.Dir != xfrm.DirOut {
			migrate = append(migrate, xfrm.UpdatePolicy(next))
			continue
		}
		cover := coverOver(old, next)
		block = append(block, xfrm.NewPolicy(&cover))
		change = append(change, xfrm.UpdatePolicy(next))
		unblock = append(unblock, xfrm.DeletePolicy(&cover))
	}
	migrate = append(migrate, migration(&from.In, &to.In), migration(&from.Out, &to.Out))
	return datagramsOf([][]xfrm.Request{block, migrate, change, unblock}, datagramOf)
}

func coverOver(old, next *xfrm.Policy) xfrm.Policy {
	cover := *next
	cover.Sel = old.Sel.Tagged(xfrm.Tag)
	cover.Index = old.Index | 0xe0000000
	cover.Priority--
	if old.Dir == xfrm.DirOut {
		cover.Action, cover.Templates = xfrm.Block, nil
	}
	return cover
}

func migration(from, to *xfrm.SA) xfrm.Request {
	m := xfrm.Migration{
		ID: from.ID, OldMark: from.Mark, NewDst: to.ID.Dst, NewSrc: to.Src, NewFamily: to.ID.Family, NewSel: to.Sel, NewReqid: to.Reqid,
	}
	return m.Request()
}

// inPlaceWay is what strongSwan 6.1 does for MOBIKE, one request at a time: outbound policies become blocks, inbound ones
// are deleted, by selector; the SAs are migrated; the policies come back.
func inPlaceWay(from, to *xfrmtest.ChildSA) []datagram {
	var before, after []xfrm.Request
	for j := range from.Policies {
		old, next := &from.Policies[j], &to.Policies[j]
		if old.Dir == xfrm.DirOut {
			block := *old
			block.Action, block.Templates = xfrm.Block, nil
			before = append(before, xfrm.UpdatePolicy(&block))
			after = append(after, xfrm.UpdatePolicy(next))
			continue
		}
		before = append(before, deleteBySelector(old))
		after = append(after, xfrm.NewPolicy(next))
	}
	before = append(before, migration(&from.In, &to.In), migration(&from.Out, &to.Out))
	return each(append(before, after...))
}

// deleteBySelector is XFRM_MSG_DELPOLICY without an index, as IKE daemons send it: of the request by index, the selector
// filled in and the index, behind it, cleared.
func deleteBySelector(p *xfrm.Policy) xfrm.Request {
	const sizeofSelector = 56
	r := xfrm.DeletePolicy(p)
	copy(r.Payload, xfrm.NewPolicy(p).Payload[:sizeofSelector])
	clear(r.Payload[sizeofSelector : sizeofSelector+4])
	return r
}
