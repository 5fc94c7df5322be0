package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/xfrm-plan/xfrm-plan/plan"
	"github.com/xfrm-plan/xfrm-plan/schema"
)

func (p *program) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a plan file without looking at the kernel",
		Long: "validate reads a plan file and prints every problem in it with its line and column. FILE may be - for the\n" +
			"standard input.",
		Annotations: exitHelp(exitOK, exitUnexpected, exitInvalid),
		Args:        cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := p.load(args[0])
			if p.json() {
				return p.validateJSON(doc, err)
			}
			if err != nil {
				return err
			}
			what := "1 renumbering"
			if n := len(doc.Renumber); n != 1 {
				what = fmt.Sprintf("%d renumberings", n)
			}
			_, err = fmt.Fprintf(p.out, "%s is a valid plan: %s, %s.\n", args[0], doc.Metadata.Name, what)
			return err
		},
	}
}

// load reads a plan file. The problems of an invalid one are the error's text.
func (p *program) load(path string) (*plan.Document, error) {
	data, err := p.readPlan(path)
	if err != nil {
		return nil, err
	}
	return schema.Load(nameOf(path), data)
}

func (p *program) fileOptions() schema.FileOptions {
	return schema.FileOptions{AllowInsecure: p.allowInsecure, Stdin: p.in}
}

func (p *program) validateJSON(doc *plan.Document, err error) error {
	answer := struct {
		Valid    bool             `json:"valid"`
		Digest   string           `json:"digest,omitempty"`
		Problems []schema.Problem `json:"problems"`
	}{Valid: err == nil, Problems: []schema.Problem{}}
	var invalid *schema.Error
	var file *schema.FileError
	switch {
	case errors.As(err, &invalid):
		answer.Problems = invalid.Errors
	case errors.As(err, &file):
		answer.Problems = append(answer.Problems, schema.Problem{File: file.Path, Slug: slugFile, Message: file.Reason, Hint: file.Hint})
	case err != nil:
		return err
	default:
		answer.Digest = doc.Digest
	}
	if eerr := json.NewEncoder(p.out).Encode(answer); eerr != nil {
		return eerr
	}
	if err != nil {
		return &exitError{code: exitCode(err)}
	}
	return nil
}

// slugFile is the kind of problem of a file whose content was not looked at.
const slugFile schema.Slug = "file"

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of plan files",
		Long: "schema prints the JSON Schema that plan files are checked against, for editors with a YAML language server:\n" +
			"  # yaml-language-server: $schema=xfrm-plan.schema.json",
		Annotations: exitHelp(exitOK, exitUnexpected),
		Args:        cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := p.out.Write(schema.JSON())
			return err
		},
	}
}

// version is set by the linker for releases.
var version = ""

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the program's version",
		Long:        "version prints the program's version and what it was built with.",
		Annotations: exitHelp(exitOK),
		Args:        cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version
			if info, ok := debug.ReadBuildInfo(); ok && v == "" {
				v = info.Main.Version
			}
			if p.json() {
				return json.NewEncoder(p.out).Encode(map[string]string{
					"version": v, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "program": os.Args[0],
				})
			}
			_, err := fmt.Fprintf(p.out, "xfrm-plan %s (%s, %s/%s)\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
