package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/rollback"
)

// toType is a command as it has to be typed to work with our state directory in the network namespace of the name.
func (p *program) toType(command, netns string) string {
	if p.stateDir != rollback.DefaultStateDir {
		dir, err := filepath.Abs(p.stateDir)
		if err != nil {
			dir = p.stateDir
		}
		command += " --state-dir " + dir
	}
	if netns != "" {
		command += " --netns " + netns
	}
	return "`xfrm-plan " + command + "`"
}

// hintUsage makes what cobra says of words and flags that are wrong tell what to write instead.
func hintUsage(root *cobra.Command) {
	for _, c := range root.Commands() {
		args := c.Args
		if args == nil {
			continue
		}
		c.Args = func(c *cobra.Command, words []string) error {
			if err := args(c, words); err != nil {
				return fmt.Errorf("%w; write `%s`, and see `%s --help`", err, c.UseLine(), c.CommandPath())
			}
			return nil
		}
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
	})
}
