// The lab command prepares virtual machines with a kernel that has XFRM_MSG_MIGRATE_STATE and runs tests and programs in them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/xfrm-plan/xfrm-plan/test/netns/guest"
	"github.com/xfrm-plan/xfrm-plan/test/netns/lab"
)

const usage = `lab runs tests and programs on a kernel that has XFRM_MSG_MIGRATE_STATE, in QEMU.

  lab prepare [-refresh] [-mirror URL]    build the images once; -refresh looks for a newer kernel
  lab exec [flags] TEST.BINARY [ARGS...]  run a test binary: go test -exec "$PWD/bin/lab exec" -tags lab ./test/netns/...
  lab run [flags] -- COMMAND [ARGS...]    run a command in the Debian system
  lab shell [flags]                       a shell in the Debian system

Flags of exec, run and shell ('lab exec -h' lists them) are also read from LAB_FLAGS.

Exit status: the command's own, or
  2    wrong usage
  125  the machine did not come up, hung, panicked or ran into -timeout; its console's text is on standard error
  129 and more  interrupted: 128 and the signal's number
`

// Exit codes of the lab itself, apart from those of signals.
const (
	exitUsage = 2
	exitLab   = 125 // as of env(1), timeout(1) and container runtimes: the tool failed, not the command
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ sig syscall.Signal }

func (e interrupted) Error() string { return "interrupted by signal: " + e.sig.String() }

// errUsage has been explained to the user already.
var errUsage = errors.New("usage")

func main() {
	guest.Main()
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	// SIGQUIT is how go test ends a test that is late.
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	go func() {
		cancel(interrupted{(<-signals).(syscall.Signal)})
		// A second signal ends the lab at once; QEMU goes with it.
		signal.Reset()
	}()
	code, err := run(ctx, os.Args[1:])
	os.Exit(report(os.Stderr, code, err))
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 0, errUsage
	}
	switch cmd, args := args[0], args[1:]; cmd {
	case "prepare":
		return 0, prepare(ctx, args)
	case "exec":
		return execTest(ctx, args)
	case "run":
		return runCommand(ctx, args)
	case "shell":
		return 0, shell(ctx, args)
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
		return 0, nil
	default:
		fmt.Fprintf(os.Stderr, "lab: no command %q\n\n%s", cmd, usage)
		return 0, errUsage
	}
}

// report prints what went wrong and returns the exit code.
func report(w io.Writer, code int, err error) int {
	if err == nil {
		return code
	}
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	var machine *lab.MachineError
	if errors.As(err, &machine) {
		fmt.Fprint(w, machine.Transcript())
	}
	fmt.Fprintf(w, "lab: %s\n", strings.TrimSpace(err.Error()))
	var sig interrupted
	if errors.As(err, &sig) {
		return 128 + int(sig.sig)
	}
	return exitLab
}
