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
