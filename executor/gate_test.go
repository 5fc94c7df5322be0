package executor_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// noJournal is for tests that don't crash.
type noJournal struct{}

func (noJournal) Intend([]executor.Transaction) error     { return nil }
func (noJournal) Settled(name string, o executor.Outcome) {}

// gated runs a plan that moves two tunnels with the given checks after its one wave, until ctx ends. arrive is called whenever
// the engine reads something, with the numbers of packets that came so far.
func gated(ctx context.Context, t *testing.T, checks plan.Checks, onError plan.OnError, arrive func(*xfrmtest.Kernel, []xfrmtest.ChildSA)) (*executor.Report, error) {
	t.Helper()
	k := xfrmtest.New()
	tunnels := xfrmtest.ChildSAs(xfrmtest.Tunnels{
		N: 2, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Dir: true,
	})
	c := k.Dial()
	if err := xfrmtest.Install(c, tunnels...); err != nil {
		t.Fatal(err)
	}
	sas, err := c.SAs()
	if err != nil {
		t.Fatal(err)
	}
	policies, err := c.Policies()
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Compute(&plan.Document{
		Metadata: plan.Metadata{Name: "gate"},
		Renumber: []plan.Renumber{{From: netip.MustParsePrefix("192.0.2.1/32"), To: netip.MustParsePrefix("198.51.100.1/32")}},
		Waves:    []plan.WaveSpec{{Name: "all", Percent: 100}},
	}, &plan.Inventory{SAs: sas, Policies: policies})
	sock := xfrmtest.Faulty(k.Socket(), func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point == xfrmtest.BeforeSend && at.Has(xfrm.MsgGetAE) && arrive != nil {
			return xfrmtest.Effect{Run: func() { arrive(k, tunnels) }}
		}
		return xfrmtest.Effect{}
	})
	return executor.Run(ctx, p, executor.Config{
		Conn: xfrm.NewConn(sock), Journal: noJournal{}, Emit: func(executor.Event) {}, Run: "test", OnError: onError, Checks: checks,
	})
}

// packet lets one packet come in through a tunnel at its new address, if it is there already.
func packet(k *xfrmtest.Kernel, tunnel *xfrmtest.ChildSA) {
	k.Receive(xfrmtest.Arrival{
		Inner: xfrmtest.Example(&tunnel.Policies[1].Sel),
		Outer: &xfrm.SAID{Dst: xfrm.AddressFrom(netip.MustParseAddr("198.51.100.1")), SPI: tunnel.In.ID.SPI,
			Family: xfrm.FamilyIPv4, Proto: xfrm.ProtoESP},
	})
}

const within = 300 * time.Millisecond

// TestInboundTrafficGateFollowsARekey has the daemon re-key a tunnel's inbound SA while the gate waits: the packets
// come in on the one that has taken its place, beside the old one or instead of it.
func TestInboundTrafficGateFollowsARekey(t *testing.T) {
	for name, tc := range map[string]struct {
		deletes, traffic bool
		want             executor.Outcome
	}{
		"the old SA is deleted":              {true, true, executor.Done},
		"the old SA lingers":                 {false, true, executor.Done},
		"nothing comes in on the new either": {true, false, executor.Undone},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			report, err := gated(t.Context(), t, plan.Checks{InboundTraffic: within}, plan.OnErrorStop, func(k *xfrmtest.Kernel, tunnels []xfrmtest.ChildSA) {
				there := tunnels[0].In.ID
				there.Dst = xfrm.AddressFrom(netip.MustParseAddr("198.51.100.1"))
				if asked == 0 && !at(k, there) {
					return
				}
				packet(k, &tunnels[1])
				const next, gateBegan = 0xe0000001, 4 // after both groups' own
				if asked++; asked == gateBegan+1 {
					if err := k.Rekey(there, tunnels[0].In.Mark, next, tc.deletes); err != nil {
						t.Error(err)
					}
				}
				if asked > gateBegan && tc.traffic {
					heir := tunnels[0]
					heir.In.ID.SPI = next
					packet(k, &heir)
				}
			})
			if got := report.Groups[0].Outcome; got != tc.want || (err == nil) != (tc.want == executor.Done) {
				t.Errorf("the group is %s (%v), want %s", got, err, tc.want)
			}
			if got := report.Groups[1].Outcome; got != executor.Done {
				t.Errorf("the other group is %s", got)
			}
		})
	}
}

// at reports whether the kernel has an SA.
func at(k *xfrmtest.Kernel, id xfrm.SAID) bool {
	c := k.Dial()
	defer c.Close()
	sas, err := c.SAs()
	return err == nil && slices.ContainsFunc(sas, func(sa xfrm.SA) bool { return sa.ID == id })
}

func TestInboundTrafficGate(t *testing.T) {
	first := func(k *xfrmtest.Kernel, tunnels []xfrmtest.ChildSA) { packet(k, &tunnels[0]) }
	both := func(k *xfrmtest.Kernel, tunnels []xfrmtest.ChildSA) { packet(k, &tunnels[0]); packet(k, &tunnels[1]) }
	for _, tc := range []struct {
		name    string
		onError plan.OnError
		arrive  func(*xfrmtest.Kernel, []xfrmtest.ChildSA)
		want    []executor.Outcome
	}{
		{"traffic on every tunnel passes", plan.OnErrorRollback, both, []executor.Outcome{executor.Done, executor.Done}},
		{"a silent tunnel undoes the run", plan.OnErrorRollback, first, []executor.Outcome{executor.Undone, executor.Undone}},
		{"a silent tunnel alone is undone on continue", plan.OnErrorContinue, first, []executor.Outcome{executor.Done, executor.Undone}},
		{"a silent tunnel alone is undone on stop", plan.OnErrorStop, first, []executor.Outcome{executor.Done, executor.Undone}},
		{"silence undoes the run", plan.OnErrorRollback, nil, []executor.Outcome{executor.Undone, executor.Undone}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report, err := gated(t.Context(), t, plan.Checks{InboundTraffic: within}, tc.onError, tc.arrive)
			var failed bool
			for i, want := range tc.want {
				failed = failed || want != executor.Done
				if got := report.Groups[i].Outcome; got != want {
					t.Errorf("group %s is %s, want %s", report.Groups[i].Name, got, want)
				}
			}
			if failed != (err != nil) {
				t.Errorf("got error %v, want one: %v", err, failed)
			}
			if failed && !strings.Contains(err.Error(), "no packet came in within 300ms") {
				t.Errorf("the error does not say why: %v", err)
			}
		})
	}
}

func TestCommandGate(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	for _, tc := range []struct {
		name, script string
		want         executor.Outcome
		says         string
	}{
		{"success passes", `echo "$XFRM_PLAN_PLAN $XFRM_PLAN_WAVE $XFRM_PLAN_RUN" >` + told, executor.Done, ""},
		{"failure undoes the run and is quoted", "echo one; echo the pager is on fire >&2; exit 3", executor.Undone, `exit status 3: "the pager is on fire"`},
		{"a check that talks on and on is quoted at its end", "yes | head -c 100000; printf '\\n%s\\n\\n' 'that was all'; exit 1", executor.Undone, `exit status 1: "that was all"`},
		{"a hanging check ends", "sleep 60", executor.Undone, "did not end within 300ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checks := plan.Checks{Command: []string{"/bin/sh", "-c", tc.script}, CommandTimeout: within}
			report, err := gated(t.Context(), t, checks, plan.OnErrorRollback, nil)
			if got := report.Groups[0].Outcome; got != tc.want {
				t.Errorf("group is %s, want %s", got, tc.want)
			}
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got error %v, want one that says %q", err, tc.says)
			}
		})
	}
	b, err := os.ReadFile(told)
	if err != nil || string(b) != "gate all test\n" {
		t.Errorf("the check was told %q (%v), want the plan, the wave and the run", b, err)
	}
}

// TestCommandGateDoesNotKeepWhatACheckSays has a check write as much as it can.
func TestCommandGateDoesNotKeepWhatACheckSays(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	checks := plan.Checks{Command: []string{"/bin/sh", "-c", "head -c 100000000 /dev/zero; exit 1"}, CommandTimeout: time.Minute}
	if _, err := gated(t.Context(), t, checks, plan.OnErrorRollback, nil); err == nil {
		t.Error("the check passed")
	}
	runtime.ReadMemStats(&after)
	const most = 20 << 20
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("it took %d MiB", took>>20)
	}
}

// TestInterruptedRunDoesNotWaitForItsCheck: whoever stops a run may have given the check ten minutes.
func TestInterruptedRunDoesNotWaitForItsCheck(t *testing.T) {
	for onError, want := range map[plan.OnError]executor.Outcome{plan.OnErrorRollback: executor.Undone, plan.OnErrorStop: executor.Done} {
		t.Run(string(onError), func(t *testing.T) {
			running := filepath.Join(t.TempDir(), "running")
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer cancel()
				for ctx.Err() == nil {
					if _, err := os.Stat(running); err == nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
			checks := plan.Checks{Command: []string{"/bin/sh", "-c", "touch " + running + "; sleep 3600"}, CommandTimeout: time.Hour}
			report, err := gated(ctx, t, checks, onError, nil)
			if got := report.Groups[0].Outcome; got != want || !errors.Is(err, executor.ErrInterrupted) {
				t.Errorf("group is %s, %v; want %s", got, err, want)
			}
		})
	}
}
