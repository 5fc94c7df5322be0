//go:build lab

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/plan"
)

// sizes are a well-filled gateway, the largest ones that operators tell of, and ten times that.
var sizes = []int{500, 5_000, 50_000}

// BenchmarkCompute measures what `xfrm-plan plan` does for a hub whose address changes, all tunnels of it: read SAD and SPD, and
// compute. Its measure is a raw dump of the same tables in the same process.
func BenchmarkCompute(b *testing.B) {
	var all []computed
	for _, n := range sizes {
		b.Run(fmt.Sprintf("tunnels=%d", n), func(b *testing.B) {
			install(b, n)
			var rounds []round
			for b.Loop() {
				// More of the short rounds, which are easily disturbed; they cost nothing.
				for range max(1, 10_000/n) {
					freshHeap(b)
					rounds = append(rounds, planOnce(b, n))
				}
			}
			c := summary(n, rounds)
			b.ReportMetric(0, "ns/op") // of all rounds: it says nothing
			b.ReportMetric(c.rawPerSA(), "raw-ns/SA")
			b.ReportMetric(float64(c.read.Nanoseconds())/float64(c.sas()), "read-ns/SA")
			b.ReportMetric(float64(c.compute.Nanoseconds())/float64(c.sas()), "compute-ns/SA")
			b.ReportMetric(c.ratio(), "plan/raw")
			b.ReportMetric(float64(c.peak)/(1<<20), "peak-MiB")
			all = append(all, c)
		})
	}
	if len(all) == len(sizes) { // not if -bench picks one of them
		publish(b, all)
	}
}

// round is one measurement.
type round struct {
	raw, read, compute time.Duration
	peak               uint64
}

// planOnce reads the tables, first raw and then as the program does, and computes the plan.
func planOnce(b *testing.B, n int) (r round) {
	start := time.Now()
	sas, policies, err := rawDump()
	r.raw = time.Since(start)
	if err != nil || sas != 2*n || policies != 6*n {
		b.Fatalf("%d SAs and %d policies, %v; want %d and %d", sas, policies, err, 2*n, 6*n)
	}
	ns, err := host.Open("")
	if err != nil {
		b.Fatal(err)
	}
	start = time.Now()
	conn, err := ns.DialReadOnly()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	inv, err := ns.Inventory(conn)
	if err != nil {
		b.Fatal(err)
	}
	r.read = time.Since(start)
	p := plan.Compute(&document, inv)
	r.compute = time.Since(start) - r.read
	if len(p.Groups) != n || len(p.Refusals) != 0 || len(p.Groups[n-1].Calls) != 2 || len(p.Groups[n-1].Policies) != 6 {
		b.Fatalf("%d groups, want %d of 2 calls and 6 policies; refusals: %v", len(p.Groups), n, p.Refusals)
	}
	r.peak = peakMemory(b)
	return r
}

var document = plan.Document{
	Metadata: plan.Metadata{Name: "bench"},
	Renumber: []plan.Renumber{{From: hub, To: newHub}},
	Waves:    []plan.WaveSpec{{Name: "all", Percent: 100}},
	IKE:      plan.IKE{Follow: plan.FollowNone},
}

// computed is the summary of a size's rounds.
type computed struct {
	n int
	round
}

func (c *computed) sas() int            { return 2 * c.n }
func (c *computed) plan() time.Duration { return c.read + c.compute }
func (c *computed) ratio() float64      { return float64(c.plan()) / float64(c.raw) }
func (c *computed) rawPerSA() float64   { return float64(c.raw.Nanoseconds()) / float64(c.sas()) }
func (c *computed) perSA() float64      { return float64(c.plan().Nanoseconds()) / float64(c.sas()) }

// summary takes the shortest of each time, because whatever else the host does makes them longer, and the highest peak.
func summary(n int, rounds []round) computed {
	c := computed{n: n, round: rounds[0]}
	for _, r := range rounds[1:] {
		c.raw, c.read, c.compute = min(c.raw, r.raw), min(c.read, r.read), min(c.compute, r.compute)
		c.peak = max(c.peak, r.peak)
	}
	return c
}
