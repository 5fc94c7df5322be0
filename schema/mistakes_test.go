package schema

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// generated are mistakes too big for a file in testdata; their goldens lie beside the others.
var generated = map[string]func() []byte{
	"over-16-mib": func() []byte { return make([]byte, MaxSize+1) },
	"too-many-values": func() []byte {
		return []byte("renumber: [" + strings.Repeat("a,", 200_000) + "]")
	},
	"too-many-keys": func() []byte {
		return []byte(header + numbered(200, "key%d: 1\n"))
	},
	"more-problems-than-printed": func() []byte {
		return []byte(header + "renumber:\n" + strings.Repeat("  - {from: 192.0.2.0/28}\n", 150))
	},
	"more-problems-than-kept": func() []byte {
		return []byte(header + "renumber:\n" + strings.Repeat("  - {from: 192.0.2.0/28}\n", 5000))
	},
}

const header = "apiVersion: xfrm-plan/v1\nkind: Renumbering\nmetadata: {name: berlin}\n"

// TestMistakesAreRefusedWithTheseWords pins every message, and holds that each slug is produced by some file.
func TestMistakesAreRefusedWithTheseWords(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) < 80 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	inputs := map[string]func() []byte{}
	for _, file := range files {
		inputs[strings.TrimSuffix(filepath.Base(file), ".yaml")] = func() []byte {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	for name, data := range generated {
		inputs[name] = data
	}
	seen := map[Slug]bool{}
	for name, data := range inputs {
		t.Run(name, func(t *testing.T) {
			doc, err := Load(name+".yaml", data())
			var e *Error
			if !errors.As(err, &e) || doc != nil {
				t.Fatalf("Load = %v, %v; want an *Error and no document", doc, err)
			}
			var out bytes.Buffer
			for _, p := range e.Errors {
				seen[p.Slug] = true
				checkProblem(t, p)
			}
			out.WriteString(e.Error() + "\n")
			golden(t, "testdata/mistakes/"+name+".want", out.Bytes())
		})
	}
	for _, s := range Slugs {
		if !seen[s.Slug] {
			t.Errorf("no file in testdata/mistakes is refused with the slug %s", s.Slug)
		}
		delete(seen, s.Slug)
	}
	for slug := range seen {
		t.Errorf("the slug %s is not in the table of slugs", slug)
	}
}

var slugForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// checkProblem holds what every problem promises.
func checkProblem(t *testing.T, p Problem) {
	t.Helper()
	if !slugForm.MatchString(string(p.Slug)) || p.Message == "" || p.Hint == "" || p.File == "" {
		t.Errorf("incomplete problem: %#v", p)
	}
	if strings.ContainsAny(p.String(), "\n\r\x1b\u202e") {
		t.Errorf("not one clean line: %q", p.String())
	}
	for _, theirs := range []string{"additionalProperties", "doesn't validate", "minimum", "jsonschema", "yaml:"} {
		if strings.Contains(p.Message, theirs) {
			t.Errorf("a library's words: %s", p)
		}
	}
	if p.Line == 0 && !slices.Contains([]Slug{fileTooBig, tooManyValues, emptyFile}, p.Slug) {
		t.Errorf("only a problem of the whole file has no line: %s", p)
	}
}
