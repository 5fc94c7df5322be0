package schema

import (
	"bytes"
	_ "embed" // the schema is part of the program
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"
)

//go:embed plan.v1.schema.json
var schemaJSON []byte

// JSON is the JSON Schema (draft 2020-12) of a plan file.
func JSON() []byte { return bytes.Clone(schemaJSON) }

const schemaID = "https://raw.githubusercontent.com/xfrm-plan/xfrm-plan/main/schema/plan.v1.schema.json"

// compiled and schemaTree are two views of the embedded file: to validate with, and to look up what a key takes.
var (
	compiled   = compile()
	schemaTree = tree()
)

func compile() *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, bytes.NewReader(schemaJSON)); err != nil {
		panic(fmt.Sprintf("schema: the embedded schema: %v", err))
	}
	return c.MustCompile(schemaID)
}

func tree() map[string]any {
	var t map[string]any
	if err := json.Unmarshal(schemaJSON, &t); err != nil {
		panic(fmt.Sprintf("schema: the embedded schema: %v", err))
	}
	return t
}

// portion is how many entries of a long list are validated at once: enough to be fast, few enough that neither the
// values nor the validator's errors for a broken list of 100,000 take much memory.
const portion = 512

// collectAfter is after how many portions the garbage of validating is collected: some 5 MiB. Beside a big node tree,
// which is all in use, the collector on its own would let as much garbage pile up as the tree is big.
const collectAfter = 8

// validate checks the tree against the JSON Schema and reports its errors in our words.
func (l *loader) validate(root *yaml.Node) {
	for pass := 0; !l.full(); pass++ {
		v := validation{loader: l, pass: pass, skipped: map[*yaml.Node]int{}}
		value := v.value(root)
		if err := check(value); err != nil {
			v.translate(root, err)
		}
		if !v.more {
			return
		}
		if (pass+1)%collectAfter == 0 {
			runtime.GC()
		}
	}
}

// check validates; the recover is the last resort against a value that the validator panics on.
func check(value any) (failed *jsonschema.ValidationError) {
	defer func() {
		if r := recover(); r != nil {
			failed = &jsonschema.ValidationError{Message: fmt.Sprint(r)}
		}
	}()
	err := compiled.Validate(value)
	if err == nil || errors.As(err, &failed) {
		return failed
	}
	return &jsonschema.ValidationError{Message: err.Error()}
}

// validation is one pass over the tree. Each long list shows the portion of this pass, or its last one.
type validation struct {
	*loader
	pass    int
	more    bool               // a list goes on after this pass
	skipped map[*yaml.Node]int // entries of a long list before the portion shown
}

// value is n as the validator takes it. Bad nodes are nil, and bad keys are left out.
func (v *validation) value(n *yaml.Node) any {
	if v.bad[n] {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !v.bad[n.Content[i]] {
				m[n.Content[i].Value] = v.value(n.Content[i+1])
			}
		}
		return m
	case yaml.SequenceNode:
		entries := v.portion(n)
		s := make([]any, len(entries))
		for i, entry := range entries {
			s[i] = v.value(entry)
		}
		return s
	}
	switch classify(n) {
	case kindNumber:
		i, _ := strconv.ParseInt(n.Value, 10, 64) // walk refused what is bigger
		return i
	case kindBoolean:
		return n.Value == "true"
	case kindNone:
		return nil
	}
	return n.Value
}

func (v *validation) portion(n *yaml.Node) []*yaml.Node {
	last := max(0, (len(n.Content)-1)/portion)
	if v.pass < last {
		v.more = true
	}
	start := min(v.pass, last) * portion
	v.skipped[n] = start
	return n.Content[start:min(start+portion, len(n.Content))]
}
