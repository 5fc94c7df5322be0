package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "man DIR",
		Short:       "Write the manual pages to a directory",
		Long:        "man writes a manual page for each command to a directory that exists. Packages are built with it.",
		Hidden:      true,
		Annotations: exitHelp(exitOK, exitUnexpected),
		Args:        cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.InitDefaultCompletionCmd()
			root.DisableAutoGenTag = true
			return writeManPages(root, args[0])
		},
	}
}

// writeManPages writes the page of a command and those of the commands below it that can be seen.
func writeManPages(c *cobra.Command, dir string) error {
	page, err := manPage(c)
	if err != nil {
		return err
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".8"
	if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			if err := writeManPages(sub, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// manPage makes a page in section 8, for those who administer a system. Its date is that of SOURCE_DATE_EPOCH, if set.
func manPage(c *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	header := doc.GenManHeader{Section: "8", Source: "xfrm-plan", Manual: "xfrm-plan"}
	if err := doc.GenMan(c, &header, &b); err != nil {
		return nil, err
	}
	page := b.Bytes()
	exit := []byte(manExit(c))
	if i := bytes.Index(page, []byte(".SH SEE ALSO")); i >= 0 {
		return bytes.Join([][]byte{page[:i], exit, page[i:]}, nil), nil
	}
	return append(page, exit...), nil
}

// manExit is the section that the help ends with too.
func manExit(c *cobra.Command) string {
	if c.Annotations["exit"] == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(".SH EXIT STATUS\n")
	for row := range strings.Lines(c.Annotations["exit"]) {
		code, meaning, _ := strings.Cut(strings.TrimSpace(row), " ")
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", code, strings.ReplaceAll(strings.TrimSpace(meaning), "-", `\-`))
	}
	return b.String()
}
