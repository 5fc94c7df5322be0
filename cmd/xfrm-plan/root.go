package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/host"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// program is what all commands share: the streams and the flags that go everywhere.
type program struct {
	in       io.Reader
	out, err io.Writer

	output   string // text or json
	stateDir string
	netns    string

	allowInsecure bool // take a plan file that others could have written
}

func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	p := &program{in: in, out: out, err: errw}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	said := errors.As(err, &exit) && exit.err == nil
	if err != nil && !said {
		fmt.Fprintln(errw, "xfrm-plan:", err)
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
		p.validateCommand(), p.planCommand(), p.applyCommand(), p.statusCommand(), p.rollbackCommand(), p.recoverCommand(),
		p.doctorCommand(), p.schemaCommand(), p.versionCommand(),
	)
	return root
}

func (p *program) json() bool { return p.output == "json" }

// targets opens the network namespaces to work in: --netns, or those of the plan.
func (p *program) targets(doc *plan.Document) ([]*host.Namespace, error) {
	names := make([]string, len(doc.Targets))
	for i, t := range doc.Targets {
		names[i] = t.NetNS
	}
	if p.netns != "" {
		names = []string{p.netns}
	}
	var open []*host.Namespace
	for _, name := range names {
		ns, err := host.Open(name)
		if err != nil {
			closeAll(open)
			return nil, &exitError{exitHostCannot, err}
		}
		open = append(open, ns)
	}
	return open, nil
}

func closeAll(open []*host.Namespace) {
	for _, ns := range open {
		ns.Close()
	}
}
