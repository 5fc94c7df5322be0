//go:build lab

package engine

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
)

func TestMain(m *testing.M) { kernel.Main(m) }

var (
	// 200 is where the cost of one Child SA has stopped to fall; 20,000 is compared with it.
	sizes = sizeList{10, 100, 200, 1000, 5000, 10000, 20000}

	// Ways that cost the square of N need many minutes at the end of the list. What they manage in this time, by the
	// machine's clock, shows what one Child SA costs among N.
	limit = flag.Duration("limit", 3*time.Second, "stop a way that is slow after this `time`")

	// With an if_id of its own each Child SA has bins of its own in the SPD: nothing depends on N but the program.
	mostIfIDs = flag.Int("if-ids", 5000, "leave out numbers of if_id-based Child SAs above `N`")

	brief = flag.Bool("brief", false, "measure the floors and apply only")

	out      = flag.String("out", "", "measure every way, into this `file` below testdata")
	parallel = flag.String("parallel-out", "", "measure apply by parallelism, into this `file` below testdata")
	profile  = flag.String("profile", "", "profile one apply of the last size, into this `file` below testdata; -program is built with profiled/overlay.json")

	program = flag.String("program", "/usr/bin/xfrm-plan", "the `program` to measure")
)

func init() {
	flag.Var(&sizes, "n", "numbers of Child SAs, as `N,N,...`")
}

type sizeList []int

func (l *sizeList) String() string { return fmt.Sprint([]int(*l)) }

func (l *sizeList) Set(s string) error {
	*l = nil
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 || n > 32768 {
			return fmt.Errorf("%q: want numbers from 1 to 32768", f)
		}
		*l = append(*l, n)
	}
	return nil
}
