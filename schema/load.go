package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// MaxSize is the size up to which a plan file is read: a renumbering of 200,000 single hosts fits.
const MaxSize = 16 << 20

// Load reads a plan from data; name is what messages call the file. The error is an *Error that lists all problems.
// Load is safe for concurrent use and for hostile data.
func Load(name string, data []byte) (*plan.Document, error) {
	l := newLoader(name)
	doc := l.load(data)
	if len(l.problems) > 0 {
		return nil, &Error{Errors: inFileOrder(l.problems), Stopped: l.full()}
	}
	sum := sha256.Sum256(data)
	doc.Digest = hex.EncodeToString(sum[:])
	return doc, nil
}

// load goes from bytes to document in steps that each rely on what the steps before have refused. A step that finds
// problems in single values marks them bad, and the later steps pass over them; that is how one run finds all problems.
func (l *loader) load(data []byte) *plan.Document {
	if len(data) > MaxSize {
		l.tooBig()
		return nil
	}
	if !l.checkBytes(data) {
		return nil
	}
	root := l.parse(data)
	if root == nil {
		return nil
	}
	l.walk(root, data)
	l.validate(root)
	return l.document(root)
}

// loader collects what one Load finds.
type loader struct {
	name     string
	problems []Problem
	bad      map[*yaml.Node]bool // nodes refused already: keys with their entry, values with all that is below
	hidden   map[int]bool        // lines with hidden characters, which are reported where they stand
}

func newLoader(name string) *loader {
	return &loader{name: name, bad: map[*yaml.Node]bool{}, hidden: map[int]bool{}}
}

// full says that looking on would not help anybody.
func (l *loader) full() bool { return len(l.problems) >= maxProblems }

func (l *loader) add(line, column int, slug Slug, text, message, hint string) {
	if l.full() {
		return
	}
	l.problems = append(l.problems, Problem{
		File: l.name, Line: line, Column: column, Slug: slug, Text: text, Message: message, Hint: hint,
	})
}

// refuse reports a problem with a node and takes the node out of the later steps.
func (l *loader) refuse(n *yaml.Node, slug Slug, message, hint string) {
	l.bad[n] = true
	l.note(n, slug, message, hint)
}

// note reports a problem at a node that is still worth looking into.
func (l *loader) note(n *yaml.Node, slug Slug, message, hint string) {
	l.add(n.Line, n.Column, slug, describe(n), message, hint)
}

func (l *loader) tooBig() {
	l.add(0, 0, fileTooBig, "", fmt.Sprintf("a plan has at most %d MiB", MaxSize>>20), "split it into several plans")
}
