package schema

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

//go:generate go test . -run ^TestReferenceIsCurrent$ -update

// TestReferenceIsCurrent writes docs/plan-reference.md from the schema, or fails when it is stale.
func TestReferenceIsCurrent(t *testing.T) {
	var document yaml.Node // JSON is YAML, and nodes keep the order of keys
	if err := yaml.Unmarshal(schemaJSON, &document); err != nil {
		t.Fatal(err)
	}
	r := &reference{root: document.Content[0]}
	r.printf("# The plan file\n\n")
	r.printf("<!-- Made from schema/plan.v1.schema.json by `go generate ./schema`. -->\n\n")
	r.printf("Every key of a plan, in the order of the file. A key in **bold** must be there; `[]` stands for each entry of a\n" +
		"list. Your editor shows the same with `xfrm-plan schema > plan.v1.schema.json` and, as first line of the plan,\n" +
		"`# yaml-language-server: $schema=plan.v1.schema.json`.\n\n")
	r.printf("A whole plan:\n\n```yaml\n%s```\n", readFile(t, "testdata/maximal.yaml"))
	r.object("", r.root)
	r.printf("\n## What a plan is refused for\n\nEach problem has a name that does not change, for programs (`--output json`).\n\n")
	r.printf("| name | what it means |\n|---|---|\n")
	for _, s := range Slugs {
		r.printf("| `%s` | %s |\n", s.Slug, s.Meaning)
	}
	golden(t, "../docs/plan-reference.md", []byte(r.String()))
}

// reference prints the schema as Markdown.
type reference struct {
	strings.Builder
	root *yaml.Node
}

func (r *reference) printf(format string, args ...any) { fmt.Fprintf(r, format, args...) }

// object prints a section for a mapping and, after it, for those within.
func (r *reference) object(path string, n *yaml.Node) {
	properties := child(n, "properties")
	if properties == nil {
		return
	}
	title := "`" + path + "`"
	if path == "" {
		title = "At the top"
	}
	r.printf("\n## %s\n\n", title)
	if d := r.get(n, "description"); d != "" {
		r.printf("%s\n\n", d)
	}
	r.printf("| key | type | default | meaning | example |\n|---|---|---|---|---|\n")
	required := map[string]bool{}
	if list := child(n, "required"); list != nil {
		for _, name := range list.Content {
			required[name.Value] = true
		}
	}
	for i := 0; i+1 < len(properties.Content); i += 2 {
		name, property := properties.Content[i].Value, r.resolve(properties.Content[i+1])
		key := "`" + name + "`"
		if required[name] {
			key = "**" + key + "**"
		}
		value := "–"
		if d := child(property, "default"); d != nil {
			value = "`" + plain(d) + "`"
		}
		r.printf("| %s | %s | %s | %s | %s |\n", key, kind(property), value,
			strings.ReplaceAll(r.get(property, "description"), "|", `\|`), examples(property))
	}
	for i := 0; i+1 < len(properties.Content); i += 2 {
		r.below(strings.TrimPrefix(path+"."+properties.Content[i].Value, "."), r.resolve(properties.Content[i+1]))
	}
}

// below prints the sections of what a property holds: a mapping, entries of a list, or the mapping among alternatives.
func (r *reference) below(path string, n *yaml.Node) {
	if items := child(n, "items"); items != nil {
		r.below(path+"[]", r.resolve(items))
	}
	if alternatives := child(n, "anyOf"); alternatives != nil {
		for _, alternative := range alternatives.Content {
			r.below(path, alternative)
		}
	}
	r.object(path, n)
}

// resolve follows a $ref; keywords beside it win.
func (r *reference) resolve(n *yaml.Node) *yaml.Node {
	ref := child(n, "$ref")
	if ref == nil {
		return n
	}
	target := child(child(r.root, "$defs"), strings.TrimPrefix(ref.Value, "#/$defs/"))
	merged := *n
	merged.Content = append(append([]*yaml.Node{}, n.Content...), target.Content...)
	return &merged
}

func (r *reference) get(n *yaml.Node, keyword string) string {
	if v := child(n, keyword); v != nil {
		return v.Value
	}
	return ""
}

// kind says what a property takes: its type with its range, its words, or both.
func kind(n *yaml.Node) string {
	if words := child(n, "enum"); words != nil {
		return codes(words.Content, ", ")
	}
	if word := child(n, "const"); word != nil {
		return "`" + word.Value + "`"
	}
	if alternatives := child(n, "anyOf"); alternatives != nil {
		var out []string
		for _, a := range alternatives.Content {
			out = append(out, kind(a))
		}
		return strings.Join(out, " or ")
	}
	if items := child(n, "items"); items != nil {
		if t := child(items, "type"); t != nil && t.Value == "string" {
			return "list of texts"
		}
		return "list of mappings"
	}
	names := map[string]string{"object": "mapping", "string": "text", "integer": "number", "boolean": "`true`, `false`"}
	formats := map[string]string{"go-duration": "duration", "ip-prefix": "address or prefix", "date-time": "time", "spi": "hex in quotes"}
	if f := child(n, "format"); f != nil {
		return formats[f.Value]
	}
	t := child(n, "type")
	out := names[t.Value]
	if t.Kind == yaml.SequenceNode {
		out = "number or text"
	}
	if low := child(n, "minimum"); low != nil {
		out = strings.Replace(out, "number", "number, "+low.Value+" to "+child(n, "maximum").Value, 1)
		out = strings.Replace(out, " or text", ", or text", 1)
	}
	return out
}

func examples(n *yaml.Node) string { return codes(child(n, "examples").Content, "<br>") }

func codes(values []*yaml.Node, separator string) string {
	var out []string
	for _, v := range values {
		out = append(out, "`"+plain(v)+"`")
	}
	return strings.Join(out, separator)
}

// plain writes a value of the schema as a plan would have it.
func plain(n *yaml.Node) string {
	var value any
	if err := n.Decode(&value); err != nil {
		return n.Value
	}
	return flow(value)
}
