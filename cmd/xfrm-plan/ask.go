package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// ask asks on a terminal. Anything but yes is no; without a terminal --yes has to be given.
func (p *program) ask(yes bool, question string) error {
	if yes {
		return nil
	}
	f, ok := p.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return exitWith(exitUnexpected, "there is no terminal to ask on: give --yes to go ahead")
	}
	fmt.Fprintf(p.err, "\n%s Write yes to go ahead: ", question)
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return exitWith(exitUnexpected, "not applied: nothing was changed")
	}
	return nil
}
