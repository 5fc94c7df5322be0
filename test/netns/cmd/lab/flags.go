package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/xfrm-plan/xfrm-plan/test/netns/lab"
)

// machineFlags are the flags of the commands that start a machine.
type machineFlags struct {
	*flag.FlagSet
	spec lab.Spec
}

func newMachineFlags(name, synopsis string) *machineFlags {
	f := &machineFlags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: lab %s\n", synopsis)
		f.PrintDefaults()
	}
	f.Func("with", "bring a file or directory along, as `HOST:GUEST`; may be repeated", func(s string) error {
		ship, err := hostAndGuest(s)
		f.spec.Ship = append(f.spec.Ship, ship)
		return err
	})
	f.Func("disk", "mount a file with an ext4 file system, as `HOST:GUEST`; what the guest syncs stays in it (Debian system only)", func(s string) error {
		disk, err := hostAndGuest(s)
		f.spec.Disk = disk
		return err
	})
	f.Func("env", "set an environment variable in the guest, as `NAME=VALUE`, or NAME to pass the host's on; may be repeated", func(s string) error {
		if name, _, ok := strings.Cut(s, "="); name == "" {
			return errors.New("want NAME=VALUE or NAME")
		} else if !ok {
			value, set := os.LookupEnv(name)
			if !set {
				return nil
			}
			s = name + "=" + value
		}
		f.spec.Env = append(f.spec.Env, s)
		return nil
	})
	f.Func("mem", "memory of the machine in `MiB` (default: 512, with a Debian system 1024)", f.atLeastOne(&f.spec.MemoryMiB))
	f.Func("cpus", "`number` of processors, emulated in turns by one thread (default 1)", f.atLeastOne(&f.spec.CPUs))
	f.BoolVar(&f.spec.Parallel, "parallel", false, "emulate each processor by a thread of its own, for measurements of what is done side by side")
	f.BoolVar(&f.spec.Counted, "counted", false, "make the clock count instructions, for measurements that don't depend on what else the host does")
	f.Func("dir", "working `directory` in the guest (default: exec: the host's, otherwise /root)", func(s string) error {
		if !strings.HasPrefix(s, "/") {
			return errors.New("want an absolute path")
		}
		f.spec.Dir = s
		return nil
	})
	f.DurationVar(&f.spec.Timeout, "timeout", 0, "end the command after this `time` (default 5m, or a little after the test's own -test.timeout)")
	return f
}

func hostAndGuest(s string) (lab.Ship, error) {
	host, inGuest, ok := strings.Cut(s, ":")
	if !ok || host == "" || !strings.HasPrefix(inGuest, "/") {
		return lab.Ship{}, errors.New("want HOST:GUEST with an absolute path in the guest")
	}
	return lab.Ship{Host: host, Guest: inGuest}, nil
}

func (f *machineFlags) atLeastOne(p *int) func(string) error {
	return func(s string) error {
		if _, err := fmt.Sscanf(s, "%d", p); err != nil || *p < 1 || fmt.Sprint(*p) != s {
			return errors.New("want a number of at least 1")
		}
		return nil
	}
}

// parse reads LAB_FLAGS, then args, and returns what follows the flags.
func (f *machineFlags) parse(args []string) ([]string, error) {
	if err := f.Parse(strings.Fields(os.Getenv("LAB_FLAGS"))); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("LAB_FLAGS has %q, which is no flag", f.Arg(0))
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	f.spec.Stdout, f.spec.Stderr = os.Stdout, os.Stderr
	f.spec.MergeOutput = sameFile(os.Stdout, os.Stderr)
	return f.Args(), nil
}

func sameFile(a, b *os.File) bool {
	fa, err := a.Stat()
	if err != nil {
		return false
	}
	fb, err := b.Stat()
	return err == nil && os.SameFile(fa, fb)
}
