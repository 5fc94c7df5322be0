package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab"
)

func prepare(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("prepare", flag.ContinueOnError)
	refresh := f.Bool("refresh", false, "build the images anew, with the newest kernel and packages")
	mirror := f.String("mirror", "", "Debian mirror to fetch from (default: the one of this machine's apt)")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	if f.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "lab prepare: takes no arguments, got %q\n", f.Args())
		return errUsage
	}
	cache, err := lab.DefaultCache()
	if err != nil {
		return err
	}
	im, err := cache.Prepare(ctx, os.Stderr, *mirror, *refresh)
	if err != nil {
		return err
	}
	fmt.Println(im.Release)
	return nil
}

func execTest(ctx context.Context, args []string) (int, error) {
	f := newMachineFlags("exec", "exec [flags] TEST.BINARY [ARGS...]")
	f.BoolVar(&f.spec.System, "system", false, "run in the Debian system instead of on the kernel alone")
	rest, err := f.parse(args)
	if err != nil {
		return 0, usageError(err)
	}
	if len(rest) == 0 {
		f.Usage()
		return 0, errUsage
	}
	if err := f.spec.AddTest(rest[0], rest[1:]); err != nil {
		return 0, err
	}
	return start(ctx, f.spec)
}

func runCommand(ctx context.Context, args []string) (int, error) {
	f := newMachineFlags("run", "run [flags] -- COMMAND [ARGS...]")
	rest, err := f.parse(args)
	if err != nil {
		return 0, usageError(err)
	}
	if len(rest) == 0 {
		f.Usage()
		return 0, errUsage
	}
	f.spec.System = true
	f.spec.Args = rest
	if f.spec.Timeout == 0 {
		f.spec.Timeout = lab.DefaultTimeout
	}
	return start(ctx, f.spec)
}

func shell(ctx context.Context, args []string) error {
	f := newMachineFlags("shell", "shell [flags]")
	rest, err := f.parse(args)
	if err != nil {
		return usageError(err)
	}
	if len(rest) > 0 {
		f.Usage()
		return errUsage
	}
	cache, err := lab.DefaultCache()
	if err != nil {
		return err
	}
	f.spec.System = true
	f.spec.Args = []string{"bash", "--login"}
	// The serial line does not tell the guest what terminal is at its other end.
	f.spec.Env = append(f.spec.Env, "TERM="+os.Getenv("TERM"))
	return cache.Shell(ctx, f.spec)
}

func start(ctx context.Context, spec lab.Spec) (int, error) {
	cache, err := lab.DefaultCache()
	if err != nil {
		return 0, err
	}
	return cache.Run(ctx, os.Stderr, spec)
}

// usageError is for errors of package flag, which has printed them and the usage; -h is none.
func usageError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return errUsage
}
