package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/review"
	"github.com/xfrm-plan/xfrm-plan/rollback"
	"github.com/xfrm-plan/xfrm-plan/saved"
	"github.com/xfrm-plan/xfrm-plan/schema"
)

// source is what apply was given: a plan file, or a plan that was computed, reviewed and saved before.
type source struct {
	doc   *plan.Document
	saved *saved.Plan // nil for a plan file
}

// source reads either of the two.
func (p *program) source(path string) (*source, error) {
	data, err := schema.ReadFile(path, p.fileOptions(), saved.MaxSize)
	if err != nil {
		return nil, err
	}
	if !saved.Is(data) {
		doc, err := schema.Load(nameOf(path), data)
		return &source{doc: doc}, err
	}
	s, err := saved.Parse(data)
	if err != nil {
		return nil, exitWith(exitInvalid, "%s: %w", path, err)
	}
	doc, err := schema.Load(s.Source, s.Document)
	if err != nil {
		return nil, err
	}
	if err := p.sameTarget(path, s); err != nil {
		return nil, err
	}
	doc.Targets = doc.Targets[:0] // those that were reviewed
	for _, t := range s.Targets {
		doc.Targets = append(doc.Targets, plan.Target{NetNS: t.NetNS})
	}
	return &source{doc: doc, saved: s}, nil
}

// sameTarget refuses a --netns that is not what was reviewed.
func (p *program) sameTarget(path string, s *saved.Plan) error {
	if p.netns == "" || len(s.Targets) == 1 && s.Targets[0].NetNS == p.netns {
		return nil
	}
	names := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		names[i] = t.NetNS
		if t.NetNS == "" {
			names[i] = "the current network namespace"
		}
	}
	return exitWith(exitRefused, "%s was computed and reviewed for %s: leave out --netns, or make another one with `xfrm-plan --netns %s plan --out`",
		path, strings.Join(names, " and "), p.netns)
}

// readPlan reads a plan file. What is a saved plan is not looked at as one.
func (p *program) readPlan(path string) ([]byte, error) {
	data, err := schema.ReadFile(path, p.fileOptions(), schema.MaxSize)
	if err == nil && saved.Is(data) {
		err = &exitError{exitInvalid, &schema.FileError{
			Path: path, Reason: "this is a saved plan, not a plan file",
			Hint: fmt.Sprintf("`xfrm-plan show %s` shows it and `xfrm-plan apply %s` carries it out", path, path),
		}}
	}
	return data, err
}

// nameOf is what messages about a plan file's content call it.
func nameOf(path string) string {
	if path == "-" {
		return "<stdin>"
	}
	return path
}

// check refuses a saved plan that was applied already, or that no longer fits what is there.
func (s *source) check(state *rollback.StateDir, lanes []*lane) error {
	if s.saved == nil {
		return nil
	}
	run, err := state.ConsumedBy(s.saved.Digest)
	if err != nil {
		return err
	}
	if run != "" {
		return exitWith(exitRefused, "run %s has applied this saved plan already: make a new one with `xfrm-plan plan --out`", run)
	}
	var drift []string
	for i, l := range lanes {
		drift = append(drift, s.saved.Targets[i].Fingerprint.Drift(l.plan.Fingerprint())...)
	}
	if len(drift) == 0 {
		return nil
	}
	const shown = 20 // the rest says nothing new
	more := ""
	if n := len(drift) - shown; n > 0 {
		drift = drift[:shown]
		more = fmt.Sprintf("\n  and %d more", n)
	}
	return exitWith(exitRefused, "what the saved plan rests on has changed since %s; make and review it anew:\n  %s%s",
		s.saved.Created.Format(time.RFC3339), strings.Join(drift, "\n  "), more)
}

// save writes what plan has computed to a file for apply.
func (p *program) save(out, path string, document []byte, computed []*plan.Plan, open []target) error {
	s := &saved.Plan{Created: time.Now().UTC(), Source: nameOf(path), Document: document}
	for i, c := range computed {
		s.Targets = append(s.Targets, saved.Target{
			NetNS: open[i].name, Fingerprint: c.Fingerprint(), Review: review.Of(c, open[i].name),
		})
	}
	if err := s.Save(out); err != nil {
		return err
	}
	if !p.json() {
		fmt.Fprintf(p.out, "\nSaved to %s. To carry out exactly this: xfrm-plan apply %s\n", out, out)
	}
	return nil
}

func (p *program) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show SAVED",
		Short: "Show a saved plan",
		Long: "show prints the review of a plan that `xfrm-plan plan --out` saved, as it was when it was computed. It does not\n" +
			"look at the kernel.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitInvalid),
		Args:        cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := schema.ReadFile(args[0], p.fileOptions(), saved.MaxSize)
			if err != nil {
				return err
			}
			s, err := saved.Parse(data)
			if err != nil {
				return exitWith(exitInvalid, "%s: %w", args[0], err)
			}
			for _, t := range s.Targets {
				if err := p.render(t.Review); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
