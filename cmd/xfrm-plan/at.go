package main

import (
	"context"
	"fmt"
	"time"
)

// waitUntil waits for the time of --at. What is to be done is shown and asked before, and computed afresh after.
func (p *program) waitUntil(ctx context.Context, o applyOptions, src *source) error {
	if o.at == "" {
		return nil
	}
	at, err := parseAt(o.at, time.Now())
	if err != nil {
		return exitWith(exitUnexpected, "%w", err)
	}
	if err := inWindow(src.doc.Window, at); err != nil {
		return err
	}
	if !o.yes {
		if err := p.showAll(ctx, src); err != nil {
			return err
		}
	}
	if err := p.ask(ctx, o.yes, fmt.Sprintf("Apply this plan at %s?", at.Format(time.RFC3339))); err != nil {
		return err
	}
	_ = p.say("Waiting until %s.", at.Format(time.RFC3339))
	// A timer of the monotonic clock stands still while the machine is suspended and does not follow when the clock is
	// set: look at the wall clock now and then.
	for left := time.Until(at); left > 0; left = time.Until(at.Round(0)) {
		select {
		case <-ctx.Done():
			return exitWith(exitInterrupted, "interrupted before it began: nothing was changed")
		case <-time.After(min(left, time.Minute)):
		}
	}
	return nil
}

// parseAt reads an RFC 3339 time, or a time of day: the next one from now on.
func parseAt(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		if t.Before(now) {
			return t, fmt.Errorf("--at %s is in the past", s)
		}
		return t, nil
	}
	t, err := time.ParseInLocation("15:04", s, now.Location())
	if err != nil {
		return t, fmt.Errorf("--at %q: write a time such as 2026-12-01T01:00:00Z, or 01:00", s)
	}
	t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
	if t.Before(now) {
		t = t.AddDate(0, 0, 1)
	}
	return t, nil
}

// showAll shows what the plan would do now.
func (p *program) showAll(ctx context.Context, src *source) error {
	open, err := p.targets(src.doc)
	if err != nil {
		return err
	}
	defer closeAll(open)
	for _, ns := range open {
		computed, err := p.compute(ctx, src.doc, ns)
		if err != nil {
			return err
		}
		if err := p.show(computed, ns); err != nil {
			return err
		}
	}
	return nil
}
