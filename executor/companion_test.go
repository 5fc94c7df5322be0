package executor

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// lists is a daemon that only tells what it has.
type lists []ike.ChildSA

func (lists) String() string                                                  { return "the daemon" }
func (l lists) ChildSAs(context.Context) ([]ike.ChildSA, error)               { return l, nil }
func (lists) Check(context.Context, *ike.Move) error                          { return nil }
func (lists) Retire(context.Context, []ike.ChildSA) error                     { return nil }
func (lists) Establish(context.Context, *ike.Move) (c ike.ChildSA, err error) { return c, nil }

// TestSuccessorOfAnotherMarkIsAnothers: two Child SAs differ in nothing that their daemon tells, but the kernel has a mark for each.
func TestSuccessorOfAnotherMarkIsAnothers(t *testing.T) {
	k := xfrmtest.New()
	conn := k.Dial()
	defer conn.Close()
	oldLocal, newLocal, remote := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("203.0.113.1")
	marks := []xfrm.Mark{{Value: 1, Mask: ^uint32(0)}, {Value: 2, Mask: ^uint32(0)}}
	up := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, First: 7, Local: newLocal, Remote: remote, Dir: true, Mark: marks[1]})
	if err := xfrmtest.Install(conn, up...); err != nil {
		t.Fatal(err)
	}
	has := ike.ChildSA{Up: true, Local: newLocal, Remote: remote, Proto: xfrm.ProtoESP, Mode: xfrm.ModeTunnel, In: up[0].In.ID.SPI, Out: up[0].Out.ID.SPI}
	c := companion{conn: conn, part: &ike.Part{Driver: lists{has}, Config: plan.Reestablish{Timeout: time.Second}}, indexes: new(indexes)}
	for i, mark := range marks {
		old := has
		old.Local, old.In = oldLocal, xfrm.SPI(i+1)
		m := ike.Move{Old: []ike.ChildSA{old}, OldLocal: oldLocal, OldRemote: remote, Local: newLocal, Remote: remote, SAs: []ike.SA{{Dir: xfrm.SADirIn, Mark: mark}}}
		present, err := c.present([]ike.Move{m})
		if err != nil || len(present[0]) != i {
			t.Errorf("with mark %v: %v, %v", mark, present, err)
		}
	}
}

// TestMissingPoliciesAreBlockedWhateverTheirPriority covers those that nothing can outrank, and what stands in their place.
func TestMissingPoliciesAreBlockedWhateverTheirPriority(t *testing.T) {
	for _, priority := range []uint32{0, 1000} {
		for _, bypass := range []bool{false, true} {
			k := xfrmtest.New()
			conn := k.Dial()
			defer conn.Close()
			tunnel := xfrmtest.ChildSAs(xfrmtest.Tunnels{N: 1, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1")})[0]
			var tx Transaction
			for i := range tunnel.Policies {
				p := &tunnel.Policies[i]
				p.Priority = priority
				tx.Policies = append(tx.Policies, plan.PolicyChange{Old: p})
				if bypass {
					clear := *p
					clear.Templates = nil
					if err := errors.Join(conn.Do(xfrm.NewPolicy(&clear))...); err != nil {
						t.Fatal(err)
					}
				}
			}
			x := new(indexes)
			for range 2 { // the second time finds its own blocks
				if err := blockMissing(conn, &tx, x); !errors.Is(err, errBare) {
					t.Errorf("priority %d, bypass %v: %v", priority, bypass, err)
				}
			}
			now := k.Snapshot()
			for i := range tunnel.Policies {
				p := &tunnel.Policies[i]
				packet := xfrmtest.Example(&p.Sel)
				if p.Dir == xfrm.DirOut {
					if fate := now.Outbound(packet).Fate; fate == xfrmtest.Clear || fate == xfrmtest.Protected {
						t.Errorf("priority %d, bypass %v: out %v", priority, bypass, fate)
					}
				} else if fate := now.Inbound(xfrmtest.Arrival{Inner: packet, Forward: p.Dir == xfrm.DirFwd}).Fate; fate == xfrmtest.Accepted {
					t.Errorf("priority %d, bypass %v: %v %v", priority, bypass, p.Dir, fate)
				}
			}
		}
	}
}
