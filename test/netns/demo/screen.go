package main

import (
	"fmt"
	"io"
	"strings"
)

// screen is what the demo prints on.
type screen struct {
	w      io.Writer
	colour bool
	steps  int
}

// SGR sequences (ECMA-48) that are legible on light and dark terminals.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (s *screen) paint(sgr, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (s *screen) line(format string, a ...any) { fmt.Fprintf(s.w, format+"\n", a...) }

func (s *screen) title(text string) { s.line("%s", s.paint(bold, text)) }

// step begins a step of the story.
func (s *screen) step(text string) {
	s.steps++
	s.line("\n%s", s.paint(bold, fmt.Sprintf("%d. %s", s.steps, text)))
}

// prompt shows the command whose output follows, and where it runs.
func (s *screen) prompt(where, command string) {
	s.line("   %s", s.paint(cyan, where+"# "+command))
}

// output shows what a program printed.
func (s *screen) output(text string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		s.line("%s", strings.TrimRight("   "+line, " \n"))
	}
}

// remark says something about what is shown.
func (s *screen) remark(format string, a ...any) {
	s.line("   %s", s.paint(dim, fmt.Sprintf(format, a...)))
}

func (s *screen) mark(ok bool) string {
	if ok {
		return s.paint(green, "✓")
	}
	return s.paint(red, "✗")
}
