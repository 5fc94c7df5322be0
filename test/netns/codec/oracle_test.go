//go:build lab

package codec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSAsAreWhatIPSays(t *testing.T) {
	n := newNetNS(t)
	n.addSAs()
	want := ipObjects(n.ip("-s xfrm state"))
	sas := n.sas()
	if len(want) != len(saCommands)+1 { // the IPIP SA
		t.Errorf("ip lists %d SAs, want %d", len(want), len(saCommands)+1)
	}
	var got []string
	for i := range sas {
		got = append(got, renderSA(&sas[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-ip +package xfrm\n%s", diff)
	}
}

func TestPoliciesAreWhatIPSays(t *testing.T) {
	n := newNetNS(t)
	n.addPolicies()
	want := ipObjects(n.ip("-s xfrm policy"))
	ps := n.policies()
	if len(want) != len(policyCommands) {
		t.Errorf("ip lists %d policies, want %d", len(want), len(policyCommands))
	}
	var got []string
	for i := range ps {
		got = append(got, renderPolicy(&ps[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-ip +package xfrm\n%s", diff)
	}
}
