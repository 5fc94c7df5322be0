package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Dir is where benchmarks leave their sections, below testdata: that comes back from the lab's machine.
const Dir = "testdata/sections"

// A Section is what one benchmark, or one soak, has to say, in Markdown. docs/benchmarks.md and docs/soak.md have a place for each,
// between two markers, and are otherwise written by hand.
type Section struct {
	Name string // in the markers
	Text string
}

// Save leaves the section for publish.
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

// In returns the document with the section between its markers, in place of what was there.
func (s Section) In(document []byte) ([]byte, error) {
	line := regexp.MustCompile(`<!-- begin ` + regexp.QuoteMeta(s.Name) + `: made by make \w+ -->\n`)
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
