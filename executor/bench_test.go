package executor_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
	"github.com/xfrm-plan/xfrm-plan/xfrm/xfrmtest"
)

// notes is a journal in memory.
type notes struct {
	mu      sync.Mutex
	intents int
	settled map[string]executor.Outcome
	fail    error
}

func (n *notes) Intend(txs []executor.Transaction) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil && n.intents > 0 {
		return n.fail
	}
	n.intents += len(txs)
	return nil
}

func (n *notes) Settled(name string, o executor.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.settled == nil {
		n.settled = map[string]executor.Outcome{}
	}
	n.settled[name] = o
}

// bench is a kernel with tunnels, and a plan to move them.
type bench struct {
	k       *xfrmtest.Kernel
	tunnels []xfrmtest.ChildSA
	plan    *plan.Plan
	journal notes
	notes   []ike.Note
	events  []executor.Event
	cfg     executor.Config
}

func newBench(t *testing.T, n int, fault xfrmtest.Fault, waves ...plan.WaveSpec) *bench {
	t.Helper()
	b := &bench{k: xfrmtest.New()}
	b.tunnels = xfrmtest.ChildSAs(xfrmtest.Tunnels{N: n, Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("203.0.113.1"), Dir: true})
	c := b.k.Dial()
	t.Cleanup(func() { c.Close() })
	if err := xfrmtest.Install(c, b.tunnels...); err != nil {
		t.Fatal(err)
	}
	if len(waves) == 0 {
		waves = []plan.WaveSpec{{Name: "all", Percent: 100}}
	}
	sas, err1 := c.SAs()
	policies, err2 := c.Policies()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	b.plan = plan.Compute(renumbering(waves...), &plan.Inventory{SAs: sas, Policies: policies})
	if len(b.plan.Groups) != n {
		t.Fatalf("%d groups, refused %v", len(b.plan.Groups), b.plan.Refusals)
	}
	sock := b.k.Socket()
	if fault != nil {
		sock = xfrmtest.Faulty(sock, fault)
	}
	b.cfg = executor.Config{
		Conn: xfrm.NewConn(sock), Journal: &b.journal, Run: "test", OnError: plan.OnErrorRollback, Parallelism: 1,
		Emit: func(e executor.Event) { b.events = append(b.events, e) },
	}
	t.Cleanup(func() { b.cfg.Conn.Close() })
	return b
}

// renumbering is the plan of a bench.
func renumbering(waves ...plan.WaveSpec) *plan.Document {
	return &plan.Document{
		Renumber: []plan.Renumber{{From: netip.MustParsePrefix("192.0.2.1/32"), To: netip.MustParsePrefix("198.51.100.1/32")}},
		Waves:    waves, IKE: plan.IKE{Follow: plan.FollowNone},
	}
}

func (b *bench) outcomes(r *executor.Report) string {
	var all []string
	for _, g := range r.Groups {
		all = append(all, string(g.Outcome))
	}
	return strings.Join(all, " ")
}

// at is the local address that a tunnel's SAs are at, or what is odd about them.
func (b *bench) at(i int) string {
	where := ""
	for _, sa := range b.k.Snapshot().SAs {
		local := sa.SrcIP()
		if sa.Dir == xfrm.SADirIn {
			local = sa.DstIP()
		}
		if sa.Reqid == uint32(i+1) {
			if where != "" && where != local.String() {
				return "split"
			}
			where = local.String()
		}
	}
	return where
}

// tagged counts temporary policies.
func (b *bench) tagged() (n int) {
	for _, p := range b.k.Snapshot().Policies {
		if p.Tagged() {
			n++
		}
	}
	return n
}

// refuse makes the kernel refuse the nth request of a type, counted from 0, and leave things as they are.
func refuse(typ uint16, nth int, errno unix.Errno) xfrmtest.Fault {
	seen := 0
	return func(at xfrmtest.At) xfrmtest.Effect {
		if at.Point != xfrmtest.BeforeSend {
			return xfrmtest.Effect{}
		}
		for i, m := range at.Messages {
			if m.Type == typ {
				if seen++; seen == nth+1 {
					return xfrmtest.Effect{Lies: map[int]xfrmtest.Lie{i: {Truth: xfrmtest.NotDone, Errno: errno}}}
				}
			}
		}
		return xfrmtest.Effect{}
	}
}
