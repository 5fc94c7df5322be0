//go:build lab

package bench

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/test/section"
)

// What a plan may cost. Reading the tables is the kernel's work and can't be had for less, so it is the measure; 600 MiB is what a
// gateway has to spare; and what a tunnel costs must not depend on how many there are.
const (
	maxRatio  = 2.5
	maxPeak   = 600 << 20
	maxGrowth = 1.3
)

// publish shows the figures and leaves the section for the document.
func publish(b *testing.B, all []computed) {
	b.Helper()
	rows := [][]string{{"tunnels", "SAs", "policies", "raw dump", "read", "compute", "(read + compute) / raw dump", "an SA's share", "peak memory"}}
	for i := range all {
		c := &all[i]
		rows = append(rows, []string{
			fmt.Sprint(c.n), fmt.Sprint(c.sas()), fmt.Sprint(6 * c.n), millis(c.raw), millis(c.read), millis(c.compute),
			fmt.Sprintf("%.2f", c.ratio()), fmt.Sprintf("%.1f µs", c.perSA()/1e3), fmt.Sprintf("%d MiB", c.peak>>20),
		})
	}
	first, last := &all[0], &all[len(all)-1]
	var verdicts strings.Builder
	ratio := 0.0
	for i := range all {
		ratio = max(ratio, all[i].ratio())
	}
	growth, rawGrowth := last.perSA()/first.perSA(), last.rawPerSA()/first.rawPerSA()
	verdict(&verdicts, "reading and computing, as a multiple of the raw dump, at worst", ratio, maxRatio, "%.2f")
	verdict(&verdicts, "peak memory in MiB", float64(last.peak)/(1<<20), maxPeak>>20, "%.0f")
	verdict(&verdicts, fmt.Sprintf("an SA's share of the time, with %d tunnels as a multiple of that with %d", last.n, first.n), growth, maxGrowth, "%.2f")
	fmt.Fprintf(&verdicts, "- for comparison, an SA's share of the raw dump grows by %.2f\n", rawGrowth)
	fmt.Printf("\n%s\n%s\n", aligned(rows), &verdicts)
	text := fmt.Sprintf("%s\n\n%s\n%s", measuredOn(b), markdown(rows), &verdicts)
	if err := (section.Section{Name: fmt.Sprintf("compute-%d", runtime.NumCPU()), Text: text}).Save(); err != nil {
		b.Fatal(err)
	}
}

func verdict(to *strings.Builder, what string, got, limit float64, format string) {
	word := "met"
	if got > limit {
		word = fmt.Sprintf("**missed by %.0f%%**", 100*(got/limit-1))
	}
	fmt.Fprintf(to, "- %s: "+format+"; target at most "+format+": %s\n", what, got, limit, word)
}

// hostEnv is the variable in which `make bench` tells the host's processor; the machine's own is called QEMU.
const hostEnv = "XFRM_PLAN_BENCH_HOST"

func measuredOn(b *testing.B) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		b.Fatal(err)
	}
	host := cmp.Or(os.Getenv(hostEnv), "unknown")
	return fmt.Sprintf("Measured %s on Linux %s in the lab's machine, whose processors (%d) are emulated by QEMU without KVM on a host with %s.",
		time.Now().UTC().Format(time.DateOnly), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), host)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3) }

func markdown(rows [][]string) string {
	var text strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			text.WriteString(strings.Repeat("|--:", len(row)) + "|\n")
		}
	}
	return text.String()
}

func aligned(rows [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	w.Flush()
	return text.String()
}
