package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/review"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/saved"
	"github.com/xfrm-plan/xfrm-plan/schema"
)

func (p *program) planCommand() *cobra.Command {
	var detailed bool
	var out string
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a plan would do to this host, and do nothing",
		Long: "plan reads the kernel's SAs and policies and shows for each tunnel what would move from where to where. It\n" +
			"changes nothing and works on kernels without MIGRATE_STATE too.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitChanges, exitInvalid, exitHostCannot, exitRefused),
		Args:        cobra.ExactArgs(1),
		RunE:        func(cmd *cobra.Command, args []string) error { return p.plan(cmd.Context(), args[0], out, detailed) },
	}
	c.Flags().StringVar(&out, "out", "", "save the computed plan to this `file`, for apply")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 if there are changes")
	return c
}

func (p *program) plan(ctx context.Context, path, out string, detailed bool) error {
	data, err := p.readPlan(path)
	if err != nil {
		return err
	}
	doc, err := schema.Load(nameOf(path), data)
	if err != nil {
		return err
	}
	if out != "" {
		if err := saved.CanSave(out); err != nil {
			return err
		}
	}
	open, err := p.targets(doc)
	if err != nil {
		return err
	}
	defer closeAll(open)
	refused, changes := false, false
	computed := make([]*plan.Plan, len(open))
	for i, ns := range open {
		if computed[i], err = p.compute(ctx, doc, ns); err != nil {
			return err
		}
		refused = refused || len(computed[i].Refusals) != 0
		changes = changes || !computed[i].Empty()
		if err := p.show(computed[i], ns); err != nil {
			return err
		}
	}
	switch {
	case out == "":
	case refused:
		fmt.Fprintf(p.err, "Not saved: a plan that is refused can't be applied. %s is as it was before.\n", out)
	default:
		if err := p.save(out, path, data, computed, open); err != nil {
			return err
		}
	}
	switch {
	case refused:
		return &exitError{code: exitRefused}
	case changes && detailed:
		return &exitError{code: exitChanges}
	}
	return nil
}

// compute reads the namespace through a socket that can't write and computes the plan for it.
func (p *program) compute(ctx context.Context, doc *plan.Document, ns target) (*plan.Plan, error) {
	conn, err := ns.DialReadOnly()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	inv, err := ns.Inventory(conn)
	if err != nil {
		return nil, err
	}
	computed := plan.Compute(doc, inv)
	if _, err = ike.Consult(ctx, doc, computed); err != nil {
		return nil, err
	}
	cookie, err := conn.Cookie()
	if err != nil {
		return nil, err
	}
	p.rememberRuns(doc, computed, cookie)
	return computed, nil
}

// rememberRuns refuses what apply would refuse because of earlier runs, as far as we may read of them: to look makes no
// state directory, and takes no privilege.
func (p *program) rememberRuns(doc *plan.Document, computed *plan.Plan, cookie uint64) {
	if _, err := os.Stat(filepath.Join(p.stateDir, "runs")); err != nil {
		return
	}
	if state, err := rollback.OpenStateDir(p.stateDir); err == nil {
		_ = refuseTwice(state, doc, computed, cookie)
	}
}

func (p *program) show(computed *plan.Plan, ns target) error {
	return p.render(review.Of(computed, ns.name))
}

func (p *program) render(r *review.Review) error {
	if p.json() {
		return r.JSON(p.out)
	}
	return r.Text(p.out)
}
