package xfrmtest

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// TestCloneIsEqualAndApart: a clone answers as its original does, in the same order, and neither knows what is done to the other.
func TestCloneIsEqualAndApart(t *testing.T) {
	k := New()
	all := ChildSAs(Tunnels{N: 3, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Dir: true})
	c := k.Dial()
	defer c.Close()
	if err := Install(c, all...); err != nil {
		t.Fatal(err)
	}
	if err := k.RewritePolicy(all[0].Policies[0]); err != nil { // the oldest is now the youngest
		t.Fatal(err)
	}
	k.Send(Example(&all[1].Policies[0].Sel))
	before := k.Snapshot()
	twin := k.Clone(WithChanges())
	if !reflect.DeepEqual(twin.Snapshot(), before) {
		t.Error("the clone's tables are not the original's")
	}
	if twin.Cookie() == k.Cookie() {
		t.Error("both have one cookie")
	}
	other := twin.Dial()
	defer other.Close()
	sas, err := other.SAs()
	if err != nil || len(sas) != 6 {
		t.Fatalf("%d SAs, %v", len(sas), err)
	}
	if got := twin.Changes(); len(got.Policies)+len(got.Came) != 0 {
		t.Errorf("a clone has changes: %+v", got)
	}

	sent := Example(&all[1].Policies[0].Sel)
	if v := twin.Send(sent); v.Fate != Protected || v.Seq[0] != 2 {
		t.Errorf("a packet is %v, number %v, want the second of its SA", v, v.Seq)
	}
	if err := twin.MoveSA(all[0].Out.ID, xfrm.Mark{}, xfrm.AddressFrom(netip.MustParseAddr("198.51.100.1")), all[0].Out.ID.Dst, xfrm.FamilyIPv4); err != nil {
		t.Error(err)
	}
	if err := twin.RewritePolicy(all[2].Policies[0]); err != nil {
		t.Error(err)
	}
	got := twin.Changes()
	if len(got.Policies) != 2 || !got.Policies[0].Gone || got.Policies[1].Gone || len(got.Came) != 1 {
		t.Errorf("changes are %+v, want a policy gone, one come, and an SA", got)
	}
	if !reflect.DeepEqual(k.Snapshot(), before) {
		t.Error("what was done to the clone has changed the original")
	}
	now := twin.Snapshot()
	if err := k.RewritePolicy(all[1].Policies[0]); err != nil {
		t.Error(err)
	}
	if got := len(k.Snapshot().Policies); got != 18 {
		t.Errorf("the original has %d policies, want 18", got)
	}
	if !reflect.DeepEqual(twin.Snapshot(), now) {
		t.Error("what was done to the original has changed the clone")
	}
}
