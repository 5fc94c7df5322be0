// Package section keeps in the documents what benchmarks and long tests come to. Each figure or table has its place between two lines,
//
//	<!-- begin NAME: made by COMMAND -->
//	<!-- end NAME -->
//
// and the rest of the document is written by hand.
package section

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Dir is where tests in the lab's machine leave their sections, below testdata: that comes back from there.
const Dir = "testdata/sections"

// A Section is what one benchmark, or one long test, has to say.
type Section struct {
	Name string // in the markers
	Text string // Markdown
}

// Save leaves the section in Dir, for the command publish.
func (s Section) Save() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(Dir, s.Name+".md"), []byte(s.Text), 0o644)
}

// Saved returns the sections below a directory.
func Saved(dir string) (all []Section, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		all = append(all, Section{strings.TrimSuffix(filepath.Base(f), ".md"), string(text)})
	}
	return all, nil
}

// Publish puts sections into the document in this file.
func Publish(file string, all ...Section) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, s := range all {
		if text, err = s.In(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return os.WriteFile(file, text, 0o644)
}

// In returns the document with the section between its markers, in place of what was there.
func (s Section) In(document []byte) ([]byte, error) {
	line := regexp.MustCompile(`<!-- begin ` + regexp.QuoteMeta(s.Name) + `: made by [^\n]+ -->\n`)
	end := fmt.Sprintf("<!-- end %s -->", s.Name)
	at := line.FindIndex(document)
	if at == nil {
		return nil, fmt.Errorf("no line %q", line)
	}
	before, begin, rest := document[:at[0]], document[at[0]:at[1]], document[at[1]:]
	_, after, ok := bytes.Cut(rest, []byte(end))
	if !ok {
		return nil, fmt.Errorf("no line %q after %q", end, bytes.TrimSpace(begin))
	}
	return bytes.Join([][]byte{before, begin, []byte("\n" + strings.TrimSpace(s.Text) + "\n\n"), []byte(end), after}, nil), nil
}
