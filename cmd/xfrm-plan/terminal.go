package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/xfrm-plan/xfrm-plan/progress"
)

// terminalOf returns the terminal that w writes to, if it is one that can go back to the beginning of a line.
func terminalOf(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return f
}

// paint is whether the output has colours: on a terminal, unless NO_COLOR is set to anything (no-color.org).
func (p *program) paint() progress.Paint {
	return progress.Paint(p.terminal != nil && os.Getenv("NO_COLOR") == "")
}

// bar draws a bar for the lanes on the terminal of a program that is queued, or returns nil where there is none.
func (p *program) bar(lanes ...*progress.Lane) *progress.Bar {
	q, ok := p.out.(*progress.Queue)
	if !ok || p.terminal == nil {
		return nil
	}
	columns := func() int {
		width, _, err := term.GetSize(int(p.terminal.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
	return progress.NewBar(q, columns, p.paint(), lanes...)
}
