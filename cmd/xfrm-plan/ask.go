package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/xfrm-plan/xfrm-plan/progress"
)

// ask asks on a terminal. Anything but yes is no; without a terminal --yes has to be given.
func (p *program) ask(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	f, ok := p.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return exitWith(exitUnexpected, "there is no terminal to ask on, and nothing was changed: give --yes to go ahead")
	}
	if q, ok := p.out.(*progress.Queue); ok { // what the question is about comes before it
		q.Drain(ctx)
	}
	fmt.Fprintf(p.err, "\n%s Write yes to go ahead: ", question)
	answer := make(chan string, 1)
	go func() { // it can't be called off; whoever interrupts ends the program
		line, err := bufio.NewReader(p.in).ReadString('\n')
		if err != nil {
			line = ""
		}
		answer <- strings.TrimSpace(line)
	}()
	select {
	case a := <-answer:
		if a == "yes" {
			return nil
		}
		return exitWith(exitUnexpected, "the answer was not yes: nothing was changed")
	case <-ctx.Done():
		fmt.Fprintln(p.err)
		return exitWith(exitInterrupted, "interrupted before it began: nothing was changed")
	}
}
