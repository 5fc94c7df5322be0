package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

// program is what all commands share: the streams and the flags that go everywhere.
type program struct {
	in       io.Reader
	out, err io.Writer

	output   string // text or json
	stateDir string
	netns    string

	terminal *os.File // what out writes to, if it is a terminal and a run is shown on it

	allowInsecure bool // take a plan file that others could have written

	// What reaches out of the process; tests have their own.
	open     func(netns string) (namespace, error)  // host.Open
	detach   func(unit string, args []string) error // starts a watchdog that outlives us
	announce func(text string)                      // tells everybody who is logged in

	log func(text string, priority journal.Priority, fields map[string]string) // to the system's log; nil if there is none
}

// namespace is a network namespace: host.Namespace, or one of a test with a kernel in memory.
type namespace interface {
	executor.Host
	Dial() (*xfrm.Conn, error)
	DialReadOnly() (*xfrm.Conn, error)
	Inventory(*xfrm.Conn) (*plan.Inventory, error)
	Monitor() (*xfrm.Monitor, error)
	Close() error
	String() string // for sentences: "the current network namespace"
}

func openHost(netns string) (namespace, error) {
	ns, err := host.Open(netns)
	if err != nil {
		return nil, err // not a nil *host.Namespace in the interface
	}
	return ns, nil
}

// target is an open network namespace and its name, empty for the current one.
type target struct {
	namespace
	name string
}

func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	return (&program{in: in, out: out, err: errw, open: openHost, detach: detach, announce: announce, log: sendToSystemLog}).run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	said := errors.As(err, &exit) && exit.err == nil
	if err != nil && !said {
		fmt.Fprintln(p.err, "xfrm-plan:", err)
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "xfrm-plan",
		Short: "Move live IPsec tunnels to new outer addresses",
		Long: "xfrm-plan moves live IPsec SAs to new outer addresses as a plan file says: keys and sequence numbers stay,\n" +
			"nothing leaves in the clear meanwhile, and every step can be undone.",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if p.output != "text" && p.output != "json" {
				return fmt.Errorf("--output %q: write text or json", p.output)
			}
			return nil
		},
	}
	root.SetUsageTemplate(root.UsageTemplate() + usageEnd)
	f := root.PersistentFlags()
	f.StringVarP(&p.output, "output", "o", "text", "how to answer: text or json")
	f.StringVar(&p.stateDir, "state-dir", rollback.DefaultStateDir, "where runs keep their journals and reports")
	f.StringVar(&p.netns, "netns", "", "work in the network namespace of this `name` (ip netns list) instead of the plan's targets")
	f.BoolVar(&p.allowInsecure, "allow-insecure-file", false, "take a plan file that others own or can write")
	root.AddCommand(
		p.validateCommand(), p.planCommand(), p.showCommand(), p.applyCommand(), p.confirmCommand(), p.watchdogCommand(), p.statusCommand(), p.rollbackCommand(), p.recoverCommand(),
		p.doctorCommand(), p.schemaCommand(), p.versionCommand(), p.manCommand(),
	)
	complete(root)
	hintUsage(root)
	return root
}

func (p *program) json() bool { return p.output == "json" }

// targets opens the network namespaces to work in: --netns, or those of the plan.
func (p *program) targets(doc *plan.Document) ([]target, error) {
	names := make([]string, len(doc.Targets))
	for i, t := range doc.Targets {
		names[i] = t.NetNS
	}
	if p.netns != "" {
		names = []string{p.netns}
	}
	var open []target
	for _, name := range names {
		ns, err := p.open(name)
		if err != nil {
			closeAll(open)
			return nil, &exitError{exitHostCannot, err}
		}
		open = append(open, target{ns, name})
	}
	return open, nil
}

func closeAll(open []target) {
	for _, ns := range open {
		ns.Close()
	}
}
