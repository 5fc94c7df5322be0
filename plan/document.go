package plan

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// APIVersion and Kind open every plan file.
const (
	APIVersion = "xfrm-plan/v1"
	Kind       = "Renumbering"
)

// Document is a plan file after loading: defaults filled in, every value checked. Package schema makes it from YAML.
type Document struct {
	Metadata    Metadata
	Window      Window
	Targets     []Target   // never empty: the default is the current network namespace
	Renumber    []Renumber // in the file's order; no two have the same From or the same To
	Select      Select
	Overrides   []Override
	Transaction Transaction
	Waves       []WaveSpec // never empty: the default is one wave of 100%
	Checks      Checks
	OnError     OnError
	OnExist     OnExist
	IKE         IKE
	Reestablish Reestablish
	Confirm     time.Duration // undo unless confirmed within; 0 means that no confirmation is asked

	// Digest is the SHA-256 of the file's bytes, in hex: the identity of the plan in journals and reports.
	Digest string
}

// Pos is a place in the plan file, counted from 1, for messages. The zero Pos means a default.
type Pos struct{ Line, Column int }

// String formats as line:column.
func (p Pos) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Metadata names the plan for people; nothing depends on it.
type Metadata struct{ Name, Description, Change string }

// Window is when apply may start. A zero time means no bound.
type Window struct{ NotBefore, NotAfter time.Time }

// Target is a network namespace to work in: a name under /run/netns, or empty for the current one.
type Target struct{ NetNS string }

// Renumber maps one outer prefix to another of the same length, host bits kept, or one host to another host of either
// family. Both prefixes are masked.
type Renumber struct {
	From, To netip.Prefix
	Pos      Pos
}

// Select narrows the SAs that Renumber applies to: those that match an entry of Include (every SA if there is none)
// and no entry of Exclude.
type Select struct{ Include, Exclude []Match }

// Match is a set of conditions on an SA that must all hold; a nil or zero field is no condition.
type Match struct {
	Reqid  *uint32
	IfID   *uint32
	Mark   *xfrm.Mark
	Proto  *xfrm.Proto
	Mode   *xfrm.Mode
	Local  netip.Prefix // of the outer address on this host
	Remote netip.Prefix // of the outer address of the peer
	SPI    *xfrm.SPI
	Pos    Pos
}

// Override changes more than addresses on the SAs that match. Where several match, the later entry wins field by field.
type Override struct {
	Match Match
	Set   Changes
	Pos   Pos
}

// Changes are the attributes of an SA that a migration can change; nil leaves them as they are.
type Changes struct {
	Reqid         *uint32
	Encap         *EncapChange
	Selector      *SelectorChange
	Mark          *xfrm.Mark
	OutputMark    *xfrm.Mark // XFRMA_SET_MARK with its mask
	NATKeepalive  *uint32    // seconds, 0 turns it off; outbound SAs with encapsulation only
	MappingMaxAge *uint32    // seconds (XFRMA_MTIMER_THRESH); inbound SAs with encapsulation only
	Offload       *OffloadChange
}

// EncapChange sets UDP encapsulation (RFC 3948) or, with None, removes it. Ports are in host byte order, as seen from
// this host: an inbound SA gets them the other way round.
type EncapChange struct {
	None                  bool
	LocalPort, RemotePort uint16
}

// SelectorKind says what becomes of an SA's own selector (not a policy's).
type SelectorKind string

// The kinds of selector change.
const (
	SelectorHostToHost SelectorKind = "host-to-host" // the new outer addresses, a single host each (policies follow)
	SelectorKeep       SelectorKind = "keep"         // what the SA has, whatever an earlier override sets
	SelectorExplicit   SelectorKind = "explicit"
)

// SelectorChange is the new selector of an SA; Local and Remote are set for SelectorExplicit only.
type SelectorChange struct {
	Kind          SelectorKind
	Local, Remote netip.Prefix
}

// OffloadChange drops hardware offload (None) or moves it to an interface.
type OffloadChange struct {
	None   bool
	Dev    string // interface name
	Packet bool   // packet offload; false is crypto offload
}

// Transaction tunes how groups run.
type Transaction struct {
	Parallelism int // groups at once in each network namespace; 0 lets the engine choose
}

// WaveSpec is how many of the remaining groups a wave takes: a count, or a percentage of all groups of the plan.
type WaveSpec struct {
	Name    string
	Count   int
	Percent int           // 1..100 if Count is 0
	Pause   time.Duration // before the wave starts; the first one's follows it
}

// Checks are conditions on the host before anything is touched and on the tunnels after each wave.
type Checks struct {
	LocalAddressAssigned bool          // before: every new local outer address is on an interface (default true)
	RouteToPeer          bool          // before: there is a route from the new local to the new remote address (default true)
	InboundTraffic       time.Duration // after: each inbound SA has received a packet within; 0 is no check
	Command              []string      // after: a program that must exit 0; empty is no check
	CommandTimeout       time.Duration
}

// OnError says what a failed group means for the run.
type OnError string

// The values of onError.
const (
	OnErrorRollback OnError = "rollback" // undo every group of the run
	OnErrorStop     OnError = "stop"     // undo the failed group, start no other
	OnErrorContinue OnError = "continue" // undo the failed group, go on
)

// OnExist says what to do when the kernel answers -EEXIST and the SA is lost.
type OnExist string

// The values of onExist.
const (
	OnExistRollback    OnExist = "rollback"
	OnExistReestablish OnExist = "reestablish"
)

// Follow says how an IKE daemon that owns the SAs learns of the new addresses.
type Follow string

// The values of ike.follow. The empty Follow means that the plan does not say.
const (
	FollowUnsaid      Follow = ""
	FollowNone        Follow = "none"
	FollowReestablish Follow = "reestablish"
)

// IKE is the plan's word about the daemon that owns the SAs.
type IKE struct{ Follow Follow }

// Driver is how re-establishing is asked for.
type Driver string

// The drivers of package ike.
const (
	DriverVICI      Driver = "vici"
	DriverLibreswan Driver = "libreswan"
	DriverCommand   Driver = "command"
)

// Reestablish says who brings a lost Child SA up again. The empty Driver means that the plan does not say.
type Reestablish struct {
	Driver  Driver
	Socket  string   // vici: path of charon's socket; libreswan: of pluto's
	Command []string // command: program and arguments
	Timeout time.Duration
	// AcceptLoss lets a plan with onExist: reestablish move SAs that no IKE daemon owns (unowned: accept-loss).
	AcceptLoss bool
}
