package ike

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Driver asks one IKE daemon. It is safe for concurrent use.
//
// Every method ends when ctx does, whatever the daemon does or leaves undone. Its deadline is the plan's reestablish.timeout, for one Child
// SA to come up or for what it replaces to go. Errors name the daemon, what it was asked, what it answered and what to do by hand.
//
// A driver never changes, adds or removes a daemon's configuration, and never reads a secret. The connection at the new addresses is the
// operator's to load, under a name of its own and beside the old one: only the operator's file has all of it (proposals, for one, can't be
// read back from strongSwan), and a daemon that reloads a changed connection under the same name closes what is up.
type Driver interface {
	// String names the daemon for people, with where it is asked: "strongSwan at /run/charon.vici".
	String() string

	// ChildSAs lists the Child SAs that the daemon has, in all network namespaces that it works in. ErrAbsent if it doesn't run; errors.ErrUnsupported from
	// a driver that can't tell.
	ChildSAs(ctx context.Context) ([]ChildSA, error)

	// Check says why Establish can't succeed, as far as that can be told without doing anything: no connection at the new addresses is
	// loaded, or several are and nothing tells which; or its SAs are per-CPU. It is called while a plan is computed, and again before a run.
	Check(ctx context.Context, m *Move) error

	// Establish sets the Child SA up at its new addresses, beside the old one if that is still there, and returns what it is then. Where the
	// daemon has it there already (the peer was faster, or an earlier call was broken off) that one is returned and nothing is done. When
	// Establish returns without an error, the daemon has said that the Child SA is up; the caller looks for it in the kernel.
	//
	// It takes nothing down, unless m.Lost: then what the daemon still believes to have may be in the way and goes first if it has to.
	Establish(ctx context.Context, m *Move) (ChildSA, error)

	// Retire makes the daemon forget Child SAs that Establish has replaced, and the IKE SAs that are left without any. It doesn't wait for a
	// peer that may not answer at the old addresses, if the daemon can do without. What the daemon doesn't have any more is no error. The kernel's SAs that the daemon does
	// not find, because they have moved, are the caller's to delete.
	Retire(ctx context.Context, old []ChildSA) error
}

// A Sharer is a Driver whose daemon has one set of policies for all connections with the same traffic selectors, and deletes them with the first of those
// connections that goes: those of the Child SA that Establish has set up, when Retire takes down the old one. The caller keeps their traffic
// protected meanwhile.
type Sharer interface {
	Driver

	// Renew has the daemon negotiate a Child SA anew, which puts its policies back. It has other SPIs then and the same reqid.
	Renew(ctx context.Context, c ChildSA) error
}

// ErrAbsent means that no daemon answers where it would be asked: it doesn't run, so it owns nothing.
var ErrAbsent = errors.New("no daemon runs there")

// ChildSA is a Child SA as its daemon tells of it.
type ChildSA struct {
	Connection string // the name of its connection in the daemon's configuration
	Child      string // the name of the child in it; libreswan: empty
	ID         string // the daemon's handle: vici: uniqueid, libreswan: the state's serial number without "#"
	IKE        string // the handle of its IKE SA; empty if that is gone
	Initiator  bool   // this host initiated the IKE SA
	Up         bool   // installed and in use; not being negotiated, re-keyed or deleted

	Local, Remote netip.Addr // outer addresses as the daemon believes; it doesn't learn of a move in the kernel
	Proto         xfrm.Proto // ESP or AH
	Mode          xfrm.Mode
	In, Out       xfrm.SPI // inbound: this host chose it; outbound: the peer did
	InCPI, OutCPI xfrm.SPI // of IPComp; 0 without
	Reqid         uint32   // 0 if the daemon doesn't tell: the kernel does
	IfIDIn        uint32
	IfIDOut       uint32

	LocalTS, RemoteTS []string // traffic selectors as the daemon writes them, sorted; empty if it doesn't tell
}

// Owns reports whether the kernel's SA is one of the Child SA's two, or of its two IPComp SAs. A daemon's word on addresses doesn't count:
// after a move in the kernel it is out of date.
func (c *ChildSA) Owns(sa *xfrm.SA) bool {
	if c.Reqid != 0 && sa.Reqid != 0 && c.Reqid != sa.Reqid {
		return false
	}
	switch spi := sa.ID.SPI; sa.ID.Proto {
	case c.Proto:
		return spi != 0 && (spi == c.In || spi == c.Out)
	case xfrm.ProtoComp:
		return spi != 0 && (spi == c.InCPI || spi == c.OutCPI)
	}
	return false
}

// String names the Child SA as its daemon does.
func (c *ChildSA) String() string {
	name := c.Connection
	if c.Child != "" {
		name += "/" + c.Child
	}
	return fmt.Sprintf("%s (SPIs %v in, %v out)", name, c.In, c.Out)
}

// Move is one Child SA on its way to new outer addresses.
type Move struct {
	Run, Plan, Group string
	// Old is what the daemon had of it before: one as a rule, more for the same traffic while it is re-keyed or where both ends have initiated it.
	// Empty for the driver command, which gets the group as a whole.
	Old                 []ChildSA
	OldLocal, OldRemote netip.Addr
	Local, Remote       netip.Addr // outer addresses to come
	// Lost says that the kernel has lost an SA of it: nothing flows, and its outbound policies are blocked, until Establish returns.
	Lost bool

	SAs      []SA
	Policies []Policy
}

// SA is an SA of the kernel's that moves or has moved. Nothing in it is secret.
type SA struct {
	ID     xfrm.SAID // before
	Dir    xfrm.SADir
	Mode   xfrm.Mode
	Reqid  uint32 // after
	IfID   uint32
	Mark   xfrm.Mark // after
	Src    netip.Addr
	Dst    netip.Addr
	NewSrc netip.Addr
	NewDst netip.Addr
	PerCPU bool // RFC 9611
}

// Policy is a policy of the group as it is to be.
type Policy struct {
	Dir      xfrm.Dir
	Selector xfrm.Selector
	IfID     uint32
	Priority uint32
}
