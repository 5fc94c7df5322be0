package schema

import (
	"bytes"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// keywordOf is the keyword that failed, and the subschema it belongs to.
func keywordOf(e *jsonschema.ValidationError) (string, map[string]any) {
	_, pointer, _ := strings.Cut(e.AbsoluteKeywordLocation, "#")
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	var at any = schemaTree
	for _, token := range tokens[:len(tokens)-1] {
		switch parent := at.(type) {
		case map[string]any:
			at = parent[unescape(token)]
		case []any:
			i, _ := strconv.Atoi(token)
			at = parent[min(i, len(parent)-1)]
		}
	}
	sub, _ := at.(map[string]any)
	return tokens[len(tokens)-1], sub
}

func unescape(token string) string {
	if s, err := url.PathUnescape(token); err == nil {
		token = s
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
}

// example is a subschema's first example.
func example(sub map[string]any) string {
	examples, _ := resolve(sub)["examples"].([]any)
	if len(examples) == 0 {
		return "what xfrm-plan schema shows"
	}
	return flow(examples[0])
}

// keyAt is the key that a JSON pointer leads to, for a message.
func keyAt(pointer string) string {
	tokens := strings.Split(pointer, "/")[1:]
	for i := len(tokens) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(tokens[i]); err == nil {
			continue
		}
		if i == len(tokens)-1 {
			return unescape(tokens[i])
		}
		return "an entry of " + unescape(tokens[i])
	}
	return "the plan"
}

// resolve follows a $ref, with the keywords beside it on top.
func resolve(sub map[string]any) map[string]any {
	ref, ok := sub["$ref"].(string)
	if !ok {
		return sub
	}
	merged := map[string]any{}
	for k, value := range schemaTree["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any) {
		merged[k] = value
	}
	for k, value := range sub {
		merged[k] = value
	}
	return merged
}

// words are the values that an enum, a const or the alternatives of an anyOf name.
func words(sub map[string]any) []string {
	var out []string
	if c, ok := sub["const"]; ok {
		out = append(out, flow(c))
	}
	if enum, ok := sub["enum"].([]any); ok {
		for _, value := range enum {
			out = append(out, flow(value))
		}
	}
	if _, ok := sub["anyOf"]; ok {
		for _, value := range sub["examples"].([]any) {
			out = append(out, flow(value))
		}
	}
	return out
}

func types(sub map[string]any) []string {
	switch t := sub["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, name := range t {
			out = append(out, name.(string))
		}
		return out
	}
	return nil
}

// keys are the keys that a subschema names, in the schema's order.
func keys(sub map[string]any) []string {
	properties, _ := sub["properties"].(map[string]any)
	out := make([]string, 0, len(properties))
	for k := range properties {
		out = append(out, k)
	}
	sortAsInSchema(out)
	return out
}

// sortAsInSchema sorts keys by where the schema first mentions them, which is an order for people: from before to.
func sortAsInSchema(names []string) {
	sort.SliceStable(names, func(i, j int) bool { return mentioned(names[i]) < mentioned(names[j]) })
}

func mentioned(key string) int { return bytes.Index(schemaJSON, []byte(`"`+key+`": {`)) }
