package executor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// stubborn is a daemon that doesn't forget what it is told to.
type stubborn struct{ *daemon }

func (d stubborn) Retire(context.Context, []ike.ChildSA) error {
	return errors.New("it did not answer in time")
}

// TestLostSAThatIsUpAgainIsNotBlocked: what was lost is set up and unblocked, and only the old one could not be retired.
func TestLostSAThatIsUpAgainIsNotBlocked(t *testing.T) {
	b := newBench(t, 1, lose(0))
	d := owned(t, b, false, true)
	b.cfg.IKE.Driver = stubborn{d}
	r, err := executor.Run(t.Context(), b.plan, b.cfg)
	if !errors.Is(err, executor.ErrNotFollowed) || b.outcomes(r) != "not-followed" || b.blocks() != 0 || b.tagged() != 0 {
		t.Errorf("%v, %s: %d blocks, %d tagged", err, b.outcomes(r), b.blocks(), b.tagged())
	}
	if p := strings.Join(r.Groups[0].Problems, " "); strings.Contains(p, "stays blocked") || !strings.Contains(p, "could not be retired") {
		t.Errorf("the report says %q", p)
	}
}

// TestProgramSetsUpWhatIsLostWithAnotherReqid: a program's daemon chooses the reqid, and nobody but the policies can tell which.
func TestProgramSetsUpWhatIsLostWithAnotherReqid(t *testing.T) {
	for _, towards := range []executor.Outcome{executor.Done, executor.Undone} {
		b := newBench(t, 1, lose(0))
		d := owned(t, b, false, true)
		share(b, d)
		d.sharing.reqids[newLocal] = 1000
		programOf(b, d, true)
		r, err := executor.Run(t.Context(), b.plan, b.cfg)
		if err != nil || b.outcomes(r) != "done" || b.tagged() != 0 {
			t.Fatalf("%v, %s, %d tagged", err, b.outcomes(r), b.tagged())
		}
		r, err = settleAs(t, b, towards)
		at := d.children[0].Local
		sas := b.k.Snapshot().SAs
		if err != nil || r.Unsettled() != 0 || b.tagged() != 0 || (at == newLocal) != (towards == executor.Done) || len(sas) != 2 {
			t.Errorf("%s: %v, %s, at %v, %d SAs, %d tagged", towards, err, b.outcomes(r), at, len(sas), b.tagged())
		}
		if slices.ContainsFunc(sas, func(sa *xfrmtest.SA) bool { return sa.Dir == xfrm.SADirIn && sa.ID.DstIP() != at }) {
			t.Errorf("%s: the kernel has an SA that is not at %v", towards, at)
		}
	}
}
