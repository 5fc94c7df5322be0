package conformance

import (
	"errors"
	"os"
	"time"

	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// events are what a monitor has to tell.
func (e *env) events(m *xfrm.Monitor) (all []xfrm.Event) {
	e.Helper()
	for {
		ev, err := m.Next(time.Now())
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			e.Fatal(err)
		}
		all = append(all, ev)
	}
}

func types(events []xfrm.Event) (all [8]uint16) {
	for i, ev := range events {
		all[min(i, len(all)-1)] = ev.Type
	}
	return all
}

var notificationCases = []testCase{
	{"of SAs", func(e *env) {
		m := e.ns.Monitor(xfrm.GroupSA)
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		sa.Limits.HardAdd, sa.Reqid = 7, 99
		e.ok(xfrmtest.UpdateSA(sa, aes()), xfrmtest.DeleteSA(sa.ID, sa.Mark), xfrmtest.FlushSAs(0), xfrmtest.NewSA(sa, aes()), xfrmtest.FlushSAs(0))
		all := e.events(m)
		equal(e, "types", types(all), [8]uint16{xfrm.MsgNewSA, xfrm.MsgUpdSA, xfrm.MsgDelSA, xfrm.MsgNewSA, xfrm.MsgFlushSA})
		equal(e, "SA that was added", all[0].SA.Reqid, 17)
		equal(e, "SA that was updated, as it was asked for", all[1].SA.Reqid, 99)
		equal(e, "SA that was deleted", *all[2].ID, sa.ID)
	}},
	{"of policies", func(e *env) {
		m := e.ns.Monitor(xfrm.GroupPolicy)
		p := outPolicy()
		e.ok(xfrm.NewPolicy(&p))
		p.Priority = 7
		e.ok(xfrm.UpdatePolicy(&p))
		got := e.policies()[0]
		byIndex := got
		byIndex.Sel = xfrm.Selector{}
		e.ok(xfrm.DeletePolicy(&byIndex), xfrmtest.FlushPolicies(), xfrm.NewPolicy(&p), xfrmtest.DeletePolicyBySelector(&p),
			xfrm.NewPolicy(&p), xfrmtest.FlushPolicies())
		all := e.events(m)
		equal(e, "types", types(all), [8]uint16{
			xfrm.MsgNewPolicy, xfrm.MsgUpdPolicy, xfrm.MsgDelPolicy, xfrm.MsgNewPolicy, xfrm.MsgDelPolicy, xfrm.MsgNewPolicy, xfrm.MsgFlushPolicy,
		})
		equal(e, "priority after the update", all[1].Policy.Priority, 7)
		for _, i := range []int{2, 4} {
			equal(e, "key of the deleted", all[i].Policy.Key(), got.Key())
			equal(e, "templates of the deleted", len(all[i].Policy.Templates), 1)
			equal(e, "priority of the deleted", all[i].Policy.Priority, 7)
		}
	}},
	{"of migrations, which the group of SAs hears nothing of", func(e *env) {
		sas, migrations := e.ns.Monitor(xfrm.GroupSA), e.ns.Monitor(xfrm.GroupMigrate)
		sa := full()
		e.ok(xfrmtest.NewSA(sa, aes()))
		m := moveTo(&sa, hubNew, siteNew)
		e.ok(m.Request())
		sa = e.sas()[0]
		back := moveTo(&sa, hub, site)
		back.Encap, back.Mark = &xfrm.Encap{}, &xfrm.Mark{Value: 1, Mask: 1}
		e.ok(back.Request())
		equal(e, "SAs", types(e.events(sas)), [8]uint16{xfrm.MsgNewSA})
		all := e.events(migrations)
		equal(e, "migrations", types(all), [8]uint16{xfrm.MsgMigrateState, xfrm.MsgMigrateState})
		got := all[0].Migration
		equal(e, "target", got.Target(), m.Target())
		equal(e, "encapsulation that was inherited", *got.Encap, full().Encap)
		equal(e, "output mark that was inherited", *got.OutputMark, full().OutputMark)
		equal(e, "keepalive that was inherited", *got.NATKeepalive, 20)
		equal(e, "no mark", got.Mark, nil)
		got = all[1].Migration
		equal(e, "encapsulation that was removed", *got.Encap, xfrm.Encap{})
		equal(e, "mark", *got.Mark, *back.Mark)
		equal(e, "no keepalive", got.NATKeepalive, nil)
	}},
	{"of nothing that failed", func(e *env) {
		m := e.ns.Monitor(xfrm.GroupSA, xfrm.GroupPolicy, xfrm.GroupMigrate)
		sa, p := full(), outPolicy()
		mig := moveTo(&sa, hubNew, siteNew)
		e.c.Do(xfrmtest.UpdateSA(sa, aes()), xfrmtest.DeleteSA(sa.ID, sa.Mark), mig.Request(), xfrmtest.DeletePolicyBySelector(&p))
		equal(e, "events", len(e.events(m)), 0)
	}},
}
