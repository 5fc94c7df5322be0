package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// Fingerprint says what SAs and policies a plan rests on and what it makes of them, so that a later look can tell what
// has changed. It maps the identity of each, in words, to a digest of everything about it that matters to the plan;
// counters don't. Where the plan changes it, a digest of what it is to become follows.
type Fingerprint map[string]string

// becomes stands between the digest of what is and that of what is to be.
const becomes = ">"

// Fingerprint takes the fingerprint of all that the plan's groups contain.
func (p *Plan) Fingerprint() Fingerprint {
	f := make(Fingerprint)
	for i := range p.Groups {
		g := &p.Groups[i]
		for j := range g.Calls {
			c := &g.Calls[j]
			f[identitySA(c.SA)] = digestSA(c.SA) + becomes + digestCall(c)
		}
		for j := range g.Policies {
			pc := &g.Policies[j]
			is := digestPolicy(pc.Old)
			if pc.New != nil {
				is += becomes + digestPolicy(pc.New)
			}
			f[identityPolicy(pc.Old)] = is
		}
		f.ages(g.Policies)
	}
	return f
}

// ages adds to each policy which others of its priority it overlaps, and on which side of them it stands by age.
func (f Fingerprint) ages(policies []PolicyChange) {
	sides := make(map[string][]string)
	eachTie(policies, func(older, younger int32) {
		o, y := identityPolicy(policies[older].Old), identityPolicy(policies[younger].Old)
		sides[o] = append(sides[o], "before "+y)
		sides[y] = append(sides[y], "after "+o)
	})
	for id, all := range sides {
		slices.Sort(all)
		f["the order of age around "+id] = digest([]byte(strings.Join(slices.Compact(all), "\n")))
	}
}

func identitySA(sa *xfrm.SA) string {
	id := fmt.Sprintf("SA %v", sa.ID)
	if sa.Mark != (xfrm.Mark{}) {
		id += fmt.Sprintf(" mark %v", sa.Mark)
	}
	return id
}

func identityPolicy(p *xfrm.Policy) string {
	id := fmt.Sprintf("policy %v %v", p.Dir, p.Sel)
	if p.Mark != (xfrm.Mark{}) {
		id += fmt.Sprintf(" mark %v", p.Mark)
	}
	if p.IfID != 0 {
		id += fmt.Sprintf(" if_id %#x", p.IfID)
	}
	if p.Type != xfrm.PolicyMain {
		id += " (sub-policy)"
	}
	if p.Label != "" {
		id += " label " + SecurityContext(p.Label)
	}
	return id
}

// SecurityContext is what people know the label of an SA or policy by: what stands behind struct xfrm_user_sec_ctx, without
// the NUL that ends it.
func SecurityContext(label string) string {
	const sizeofSecCtx = 8
	if len(label) > sizeofSecCtx {
		label = label[sizeofSecCtx:]
	}
	return strings.TrimSuffix(label, "\x00")
}

// digestSA is over all that a migration could change and all that stays with the SA: the migration that would change
// nothing, and the rest.
func digestSA(sa *xfrm.SA) string {
	same := xfrm.Migration{
		ID: sa.ID, NewDst: sa.ID.Dst, NewSrc: sa.Src, OldMark: sa.Mark, NewSel: sa.Sel, NewReqid: sa.Reqid,
		NewFamily: sa.ID.Family, Encap: &sa.Encap, Offload: &sa.Offload, OutputMark: &sa.OutputMark,
		NATKeepalive: &sa.NATKeepalive, MTimer: &sa.MTimer,
	}
	b := append(same.AppendTo(nil), byte(sa.Mode), byte(sa.Dir))
	b = binary.LittleEndian.AppendUint32(b, sa.IfID)
	b = binary.LittleEndian.AppendUint32(b, sa.CPU)
	return digest(append(b, sa.Label...))
}

// digestCall is over what the call does, and what it is taken to be for: the direction decides which address is ours, and
// goes by policies and addresses that may have changed.
func digestCall(c *Call) string {
	b := append(c.Migration.AppendTo(nil), byte(c.Dir))
	if c.Hop != nil {
		b = c.Hop.AppendTo(b)
	}
	return digest(b)
}

// digestPolicy leaves out the index, which an owner who installs the same policy again does not choose.
func digestPolicy(p *xfrm.Policy) string {
	q := *p
	q.Index, q.Current = 0, xfrm.Lifetime{}
	return digest(q.AppendTo(nil))
}

// digest shortens SHA-256: 128 bits tell apart what nobody has a reason to forge.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Drift says in words, sorted, what has changed between two fingerprints; nothing if they are the same.
func (f Fingerprint) Drift(now Fingerprint) []string {
	var all []string
	for id, old := range f {
		was, _, _ := strings.Cut(old, becomes)
		is, _, _ := strings.Cut(now[id], becomes)
		switch _, ok := now[id]; {
		case !ok:
			all = append(all, id+" is gone, was re-keyed or no longer belongs to the plan")
		case is != was:
			all = append(all, id+" was changed")
		case now[id] != old:
			all = append(all, id+" is as it was, but the plan would now make something else of it: an address, an interface or another SA or policy has changed")
		}
	}
	for id := range now {
		if _, ok := f[id]; !ok {
			all = append(all, id+" was not there when the plan was saved")
		}
	}
	slices.Sort(all)
	return all
}
