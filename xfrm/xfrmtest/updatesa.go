package xfrmtest

import (
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// update is xfrm_state_update. A larval SA is replaced by x; of one that lives only lifetimes, encapsulation, output
// mark and if_id change.
func (k *Kernel) update(x *state) *refusal {
	old := k.sad.locate(x)
	switch {
	case old == nil:
		return refuse(unix.ESRCH, "")
	case old.larval:
		if x.sa.Dir != xfrm.SADirUnset && old.sa.Dir != x.sa.Dir {
			return refuse(unix.ESRCH, "")
		}
		k.insert(x)
		k.remove(old)
		return nil
	case old.sa.Dir != x.sa.Dir:
		return refuse(unix.ESRCH, "")
	case old.sa.Encap.Type != x.sa.Encap.Type:
		return invalid("")
	}
	old.sa.Encap = x.sa.Encap
	if !hasSPI(x.sa.ID.Proto) {
		old.sel, old.sa.Sel = x.sel, x.sa.Sel
	}
	old.sa.Limits = x.sa.Limits
	if x.sa.OutputMark != (xfrm.Mark{}) {
		old.sa.OutputMark = x.sa.OutputMark
	}
	if x.sa.IfID != 0 {
		old.sa.IfID = x.sa.IfID
	}
	k.changed()
	return nil
}
