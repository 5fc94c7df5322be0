package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/xfrm-plan/xfrm-plan/executor"
	"github.com/xfrm-plan/xfrm-plan/ike"
	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/xfrm"
)

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this kernel and host can do",
		Long: "doctor looks for what apply needs: the capability, a kernel with MIGRATE_STATE, and no block policies or\n" +
			"unfinished runs left behind; and for the IKE daemons that answer. It changes nothing.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitHostCannot, exitBusy),
		Args:        cobra.NoArgs,
		RunE:        func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context()) },
	}
}

type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
	code  int
}

func (p *program) doctor(ctx context.Context) error {
	findings := p.examine(ctx)
	code := exitOK
	for _, f := range findings {
		if !f.OK && code == exitOK {
			code = f.code
		}
	}
	if p.json() {
		if err := json.NewEncoder(p.out).Encode(findings); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			verdict := "ok"
			if !f.OK {
				verdict = "NO"
			}
			fmt.Fprintf(p.out, "%-3s %-16s %s\n", verdict, f.Check, f.Text)
		}
	}
	if code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// examine makes the checks in the order in which one rests on the other, and ends where the next makes no sense.
func (p *program) examine(ctx context.Context) (all []finding) {
	add := func(check string, err error, text string, code int) bool {
		if err != nil {
			text = err.Error()
		}
		all = append(all, finding{check, err == nil, text, code})
		return err == nil
	}
	add("kernel", nil, "Linux "+release(), 0)
	ns, err := p.open(p.netns)
	if !add("namespace", err, p.netnsText(), exitHostCannot) {
		return all
	}
	defer ns.Close()
	conn, err := ns.DialReadOnly()
	if !add("XFRM netlink", err, "there", exitHostCannot) {
		return all
	}
	defer conn.Close()
	if !add("MIGRATE_STATE", conn.MigrateSupported(), "supported", exitHostCannot) {
		// The tables can still be read without it, so that plan works.
		if _, err := conn.SPDInfo(); err != nil {
			return all
		}
	}
	sas, err := conn.SAs()
	if !add("SAD", err, fmt.Sprintf("%d SAs", len(sas)), exitHostCannot) {
		return all
	}
	policies, err := conn.Policies()
	if !add("SPD", err, fmt.Sprintf("%d policies", len(policies)), exitHostCannot) {
		return all
	}
	left, err := executor.Left(conn)
	if !add("left-overs", err, fmt.Sprintf("%d policies left behind by a run", left), exitHostCannot) {
		return all
	}
	if left != 0 {
		last := &all[len(all)-1]
		last.OK, last.code = false, exitBusy
		last.Text += ": " + p.toType("recover", p.netns)
	}
	all = append(all, examineDaemons(ctx, sas)...)
	return append(all, p.examineRuns(conn)...)
}

// examineDaemons tells of the IKE daemons of this host that answer. One that doesn't is no reason not to go on: a plan may do without.
func examineDaemons(ctx context.Context, sas []xfrm.SA) (all []finding) {
	for _, d := range ike.Daemons(plan.Reestablish{}) {
		n, owned, err := ike.Count(ctx, d, sas)
		switch {
		case errors.Is(err, ike.ErrAbsent):
		case err != nil:
			all = append(all, finding{"IKE daemon", true, err.Error(), 0})
		default:
			all = append(all, finding{"IKE daemon", true, fmt.Sprintf("%v has %d Child SAs; %d of the SAs here are its", d, n, owned), 0})
		}
	}
	return all
}

func (p *program) examineRuns(conn *xfrm.Conn) []finding {
	state, err := rollback.OpenStateDir(p.stateDir)
	if err != nil {
		return []finding{{"state directory", false, err.Error(), exitHostCannot}}
	}
	cookie, err := conn.Cookie()
	if err != nil {
		return []finding{{"namespace cookie", false, err.Error(), exitHostCannot}}
	}
	runs, err := state.Unfinished(cookie)
	if err != nil {
		return []finding{{"runs", false, err.Error(), exitCode(err)}}
	}
	if len(runs) != 0 {
		return []finding{{"runs", false, fmt.Sprintf("run %s did not come to its end: %s", runs[0], p.toType("recover", p.netns)), exitBusy}}
	}
	return []finding{{"runs", true, "none unfinished in " + p.stateDir, 0}}
}

func (p *program) netnsText() string {
	if p.netns == "" {
		return "the current one"
	}
	return p.netns
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
