// The demo command shows in the lab's machine how a tunnel moves under traffic, step by step, and checks that it did.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/xfrm-plan/xfrm-plan/test/netns/kernel"
	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

func main() {
	// A machine's output is a pipe to the lab: only who starts that knows whether a terminal is at its end.
	colour := flag.Bool("color", term.IsTerminal(int(os.Stdout.Fd())), "colour the output, unless NO_COLOR is set")
	flag.Parse()
	if os.Getenv(kernel.Env) != kernel.System {
		fmt.Fprintln(os.Stderr, "demo: it creates network namespaces and runs in the lab's machine only: make demo")
		os.Exit(2)
	}
	s := &screen{w: os.Stdout, colour: *colour && os.Getenv("NO_COLOR") == ""}
	ok, err := demo(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

func demo(s *screen) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "demo-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demonstration{screen: s, dir: dir}
	s.title("A gateway changes its ISP while its IPsec tunnel carries traffic")
	s.step("The network: five network namespaces in a virtual machine")
	s.output(topo.Drawing)
	if d.network, err = topo.Build(dir); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.network.Close()) }()
	for _, step := range []func() error{d.tunnel, d.watch, d.plan, d.apply, d.checks, d.again, d.toIPv6, d.failure, d.crash} {
		if err := step(); err != nil {
			return false, err
		}
	}
	d.end()
	return d.failed == 0, nil
}
