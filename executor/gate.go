package executor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// gatePoll is how often the gate after a wave looks for inbound packets: often enough for people who wait, seldom
// enough that a thousand tunnels cost the kernel nothing.
const gatePoll = 200 * time.Millisecond

// gate makes the plan's checks after a wave. A group that does not pass is undone, unless onError undoes the whole run
// anyway, and its failure is the gate's error.
func (r *run) gate(ctx context.Context, w *plan.Wave) error {
	var failures *multierror.Error
	failing, err := r.failing(ctx, w)
	if err != nil {
		failures = multierror.Append(failures, fmt.Errorf("wave %s: %w", w.Name, err))
	}
	for _, gi := range slices.Sorted(maps.Keys(failing)) {
		err := failing[gi]
		r.event(Event{Kind: GroupFailed, Wave: w.Name, Group: r.txs[gi].Name, Text: err.Error()})
		if r.cfg.OnError != plan.OnErrorRollback {
			err = errors.Join(err, r.undo(gi, time.Now()))
		}
		failures = multierror.Append(failures, fmt.Errorf("%s: %w", r.txs[gi].Name, err))
	}
	return joined(failures)
}

// errUnchecked is the error of a run that has to stop amid its checks: nobody has failed them, and onError decides.
var errUnchecked = errors.New("its checks were cut short")

// failing runs the checks and says which groups of the wave did not pass, and why. It fails if they are not through.
func (r *run) failing(ctx context.Context, w *plan.Wave) (map[int]error, error) {
	var done []int
	for _, gi := range w.Groups {
		if r.outcome(gi) == Done && r.daemon[gi] == nil { // what the daemon has set up is not what was moved
			done = append(done, gi)
		}
	}
	failed := make(map[int]error)
	fail := func(groups []int, err error) {
		for _, gi := range groups {
			failed[gi] = err
		}
	}
	if within := r.cfg.Checks.InboundTraffic; within > 0 && len(done) != 0 {
		silent, err := r.silent(ctx, done, within)
		if errors.Is(err, errUnchecked) {
			return nil, err
		}
		fail(silent, fmt.Errorf("no packet came in within %v", within))
		if err != nil {
			fail(done, err)
		}
	}
	if len(r.cfg.Checks.Command) != 0 && len(done) != 0 && len(failed) == 0 {
		err := r.command(ctx, w)
		if errors.Is(err, errUnchecked) {
			return nil, err
		}
		if err != nil {
			fail(done, err)
		}
	}
	return failed, nil
}

// command runs the plan's own check. It learns in its environment what it is asked about. A run that is told to stop
// kills it.
func (r *run) command(run context.Context, w *plan.Wave) error {
	limit := r.cfg.Checks.CommandTimeout
	ctx, cancel := context.WithTimeout(run, limit)
	defer cancel()
	argv := r.cfg.Checks.Command
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "XFRM_PLAN_RUN="+r.cfg.Run, "XFRM_PLAN_WAVE="+w.Name, "XFRM_PLAN_PLAN="+r.plan.Name)
	// A process group of its own: Ctrl-Z and Ctrl-C on our terminal are meant for us, not for the check.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // what it has started may hold its output open
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case run.Err() != nil:
		return errUnchecked
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the check %q did not end within %v", argv[0], limit)
	}
	return fmt.Errorf("the check %q failed: %w%s", argv[0], err, lastLine(out))
}

// tail keeps the end of what is written to it: nobody knows how much a check has to say.
type tail []byte

// tailSize is room for the last line whatever it is written in, and for an empty one or two after it.
const tailSize = 4096

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p[max(0, len(p)-tailSize):]...)
	*t = append((*t)[:0], (*t)[max(0, len(*t)-tailSize):]...)
	return len(p), nil
}

// lastLine is what a failed check said last, short enough for a report.
func lastLine(out []byte) string {
	const most = 200
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := strings.ToValidUTF8(lines[len(lines)-1], "?")
	if last == "" {
		return ""
	}
	if len(last) > most {
		last = last[:most]
	}
	return fmt.Sprintf(": %q", last)
}
