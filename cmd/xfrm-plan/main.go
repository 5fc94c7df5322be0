// Command xfrm-plan moves live IPsec tunnels to new outer addresses.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	keepToOurselves()
	// A terminal that hangs up, or a pager that is left, is no reason to break off in the middle: the run goes on to its
	// end, and the report has what was not seen. Neither is Ctrl-Z, which would stop us with a tunnel's traffic held back.
	// They are caught and not ignored, which programs that we start would inherit.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGPIPE, unix.SIGTSTP)
	// A background job that writes to a terminal with `stty tostop` is stopped too, unless it ignores this one.
	signal.Ignore(unix.SIGTTOU)
	// The first signal lets the groups in flight come to an end; the second one kills, which leaves the rest to
	// recover.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// keepToOurselves sees to it that nobody finds in a core file, or in our memory, what the kernel hands out with every
// SA: its keys pass through a buffer that is cleared at once, and a crash could come in between. Where the kernel
// refuses, as in some containers, the program does its work all the same.
func keepToOurselves() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
