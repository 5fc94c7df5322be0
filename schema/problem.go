package schema

import (
	"fmt"
	"sort"
	"strings"
)

// Problem is one thing that is wrong with a plan file.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 if the problem is the file as a whole
	Column  int    `json:"column"` // from 1, in characters; 0 if only the line is known
	Slug    Slug   `json:"slug"`
	Message string `json:"message"` // what is wrong, lower case, no full stop
	Text    string `json:"text"`    // what was read, ready to print; may be empty
	Hint    string `json:"hint"`    // what to write instead; may be empty
}

// String formats as file:line:column: message: what was read; what to write instead.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": " + p.Message)
	if p.Text != "" {
		b.WriteString(": " + p.Text)
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Error is everything that is wrong with a plan file, in the file's order. It is never empty.
type Error struct {
	Errors []Problem
	// Stopped says that there were more problems than a list is useful for, and that the search was given up.
	Stopped bool
}

const (
	// maxProblems bounds the list that a hostile or mechanically broken file can grow.
	maxProblems = 1000
	// maxPrinted is what still scrolls by on a terminal; the list itself is complete up to maxProblems.
	maxPrinted = 100
)

// Error prints one line for each problem, up to 100, and a closing line that counts the others.
func (e *Error) Error() string {
	lines := make([]string, 0, min(len(e.Errors), maxPrinted)+1)
	for _, p := range e.Errors[:min(len(e.Errors), maxPrinted)] {
		lines = append(lines, p.String())
	}
	more := len(e.Errors) - maxPrinted
	switch {
	case e.Stopped && more > 0:
		lines = append(lines, fmt.Sprintf("%s: %d more problems, and the search stopped there", e.Errors[0].File, more))
	case more == 1:
		lines = append(lines, e.Errors[0].File+": 1 more problem")
	case more > 1:
		lines = append(lines, fmt.Sprintf("%s: %d more problems", e.Errors[0].File, more))
	}
	return strings.Join(lines, "\n")
}

// inFileOrder sorts the problems and drops those that were found twice.
func inFileOrder(list []Problem) []Problem {
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	kept := list[:0]
	for i, p := range list {
		if i == 0 || p != kept[len(kept)-1] {
			kept = append(kept, p)
		}
	}
	return kept
}
