package host

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// tables are SAD and SPD as a dump has shown them and notifications go on to tell.
//
// The kernel's lists have the newest in front and a dump goes through them from there: what it shows was there when it
// began, and so before all that the notifications tell of.
type tables struct {
	sas []xfrm.SA
	at  map[key]int // where each of sas is; made for the first notification about one

	asks   []key        // SAs of which a notification tells less than what they are now
	unsure map[key]bool // those, and those that were asked for last: newer, maybe, than the notifications that come next

	policies []xfrm.Policy
	younger  []*xfrm.Policy // added or rewritten since the dump, the oldest first; nil if that was not the last of it
	touched  map[uint32]int // by index: the place in younger, or none
}

const none = -1

// key is what tells SAs apart.
type key struct {
	id   xfrm.SAID
	mark xfrm.Mark
}

// keyFor leaves out what of an address the kernel doesn't look at, as it repeats whatever was asked for.
func keyFor(id xfrm.SAID, mark xfrm.Mark) key {
	if id.Family == xfrm.FamilyIPv4 {
		clear(id.Dst[4:])
	}
	return key{id, mark}
}

func keyOf(sa *xfrm.SA) key { return keyFor(sa.ID, sa.Mark) }

// fold does to the tables what the kernel has done.
func (t *tables) fold(e *xfrm.Event) error {
	switch e.Type {
	case xfrm.MsgNewSA:
		t.put(e.SA)
	case xfrm.MsgUpdSA: // what was asked for, of which an SA that lives takes over a part
		t.want(keyOf(e.SA))
	case xfrm.MsgDelSA:
		t.drop(keyOf(e.SA))
	case xfrm.MsgMigrateState:
		t.migrate(e.Migration)
	case xfrm.MsgExpire:
		if e.Hard {
			t.drop(keyOf(e.SA))
		}
	case xfrm.MsgNewPolicy, xfrm.MsgUpdPolicy:
		t.touch(e.Policy.Index, e.Policy)
	case xfrm.MsgDelPolicy:
		t.touch(e.Policy.Index, nil)
	case xfrm.MsgPolExpire:
		if e.Hard {
			t.touch(e.Policy.Index, nil)
		}
	default: // flushed, or moved by the older MIGRATE, which doesn't name the SAs
		return errAnew
	}
	return nil
}

// find returns where an SA is.
func (t *tables) find(k key) (i int, ok bool) {
	if t.at == nil {
		t.at = make(map[key]int, len(t.sas))
		for i := range t.sas {
			t.at[keyOf(&t.sas[i])] = i
		}
	}
	i, ok = t.at[k]
	return i, ok
}

func (t *tables) put(sa *xfrm.SA) {
	k := keyOf(sa)
	i, ok := t.find(k)
	if !ok {
		// An SPI is allocated without a mark: the larval SA that held it becomes the SA, whatever its mark.
		unmarked := key{id: k.id}
		if j, ok := t.at[unmarked]; ok && t.sas[j].Larval() {
			t.drop(unmarked)
		}
		i = len(t.sas)
		t.sas = append(t.sas, xfrm.SA{})
		t.at[k] = i
	}
	t.sas[i] = *sa
}

// drop puts the last SA in the place of one that is gone.
func (t *tables) drop(k key) {
	i, ok := t.find(k)
	if !ok {
		return
	}
	last := len(t.sas) - 1
	t.sas[i] = t.sas[last]
	t.at[keyOf(&t.sas[i])] = i
	t.sas = t.sas[:last]
	delete(t.at, k)
}

// migrate moves an SA as a notification of XFRM_MSG_MIGRATE_STATE says, which has all that the SA has now but what it
// can't change. An SA that the dump has missed is asked for.
func (t *tables) migrate(m *xfrm.Migration) {
	from, to := keyFor(m.ID, m.OldMark), keyFor(m.Target(), m.TargetMark())
	i, ok := t.find(from)
	if !ok || t.unsure[from] {
		t.drop(from)
		t.want(to)
		return
	}
	sa := t.sas[i]
	t.drop(from)
	sa.ID, sa.Src, sa.Sel, sa.Reqid, sa.Mark = m.Target(), m.NewSrc, m.NewSel, m.NewReqid, m.TargetMark()
	sa.Encap, sa.Offload, sa.OutputMark = value(m.Encap), value(m.Offload), value(m.OutputMark)
	sa.MTimer, sa.NATKeepalive = value(m.MTimer), value(m.NATKeepalive)
	sa.Stats = xfrm.Stats{} // not carried over
	t.put(&sa)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// want has the SA asked for.
func (t *tables) want(k key) {
	if t.unsure == nil {
		t.unsure = make(map[key]bool)
	}
	t.unsure[k] = true
	t.asks = append(t.asks, k)
}

// ask asks for the SAs that are wanted.
func (t *tables) ask(c *xfrm.Conn) error {
	reqs := make([]xfrm.Request, len(t.asks))
	for i, k := range t.asks {
		reqs[i] = xfrm.GetSA(k.id, k.mark)
	}
	answers, errs := c.Read(reqs...)
	clear(t.unsure)
	for i, k := range t.asks {
		t.unsure[k] = true
		switch err := errs[i]; {
		case errors.Is(err, unix.ESRCH): // a notification will tell
			t.drop(k)
		case err != nil:
			return fmt.Errorf("read the SAD: %w", err)
		case keyOf(answers[i].SA) != k: // another one, whose mark takes in this one's
			return errAnew
		default:
			t.put(answers[i].SA)
		}
	}
	t.asks = nil
	return nil
}

// touch notes that the policy of the index is now p, the youngest of all, or gone.
func (t *tables) touch(index uint32, p *xfrm.Policy) {
	if t.touched == nil {
		t.touched = make(map[uint32]int)
	}
	if i, ok := t.touched[index]; ok && i != none {
		t.younger[i] = nil
	}
	t.touched[index] = none
	if p != nil {
		t.touched[index] = len(t.younger)
		t.younger = append(t.younger, p)
	}
}

// spd returns the policies as a dump would, the youngest first.
func (t *tables) spd() []xfrm.Policy {
	if len(t.touched) == 0 {
		return t.policies
	}
	all := slices.DeleteFunc(t.policies, func(p xfrm.Policy) bool { _, ok := t.touched[p.Index]; return ok })
	var young []xfrm.Policy
	for _, p := range slices.Backward(t.younger) {
		if p != nil {
			young = append(young, *p)
		}
	}
	return slices.Insert(all, 0, young...)
}
