package xfrmtest

import (
	"fmt"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Fate is what becomes of a packet.
type Fate uint8

// The fates of an outgoing packet are Clear to Dropped, of an incoming one Accepted and Dropped.
const (
	Clear     Fate = iota // it leaves in the clear
	Protected             // it leaves through an SA
	Blocked               // a policy forbids it
	Acquire               // there is no SA for it: dropped, and a larval SA with an ACQUIRE if somebody listens
	Dropped               // something else is wrong; Counter says what
	Accepted              // it is delivered or forwarded
)

// String gives the fate's name.
func (f Fate) String() string {
	return [...]string{"clear", "protected", "blocked", "acquire", "dropped", "accepted"}[f]
}

// Verdict is what becomes of a packet, and why.
type Verdict struct {
	Fate    Fate
	Counter string         // of /proc/net/xfrm_stat, where one counts it
	Policy  *xfrm.Policy   // that decided, nil if none matched
	SAs     []*SA          // that it goes or came through, innermost first
	Missing *xfrm.Template // that no SA was found for
	Awaited bool           // the missing SA was asked for before: there is a larval one
	Seq     []uint64       // sequence numbers consumed on SAs by Kernel.Send, or the one that Kernel.Receive took
}

// String says it in a line.
func (v Verdict) String() string {
	s := v.Fate.String()
	for _, sa := range v.SAs {
		s += fmt.Sprintf(" by %v", sa.ID)
	}
	if v.Missing != nil {
		s += fmt.Sprintf(" for want of %v", v.Missing)
	}
	if v.Counter != "" {
		s += " (" + v.Counter + ")"
	}
	return s
}
