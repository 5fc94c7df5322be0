package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// flow writes a value of the schema as YAML on one line.
func flow(value any) string {
	switch v := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sortAsInSchema(names)
		parts := make([]string, len(names))
		for i, name := range names {
			parts[i] = name + ": " + flow(v[name])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, entry := range v {
			parts[i] = flow(entry)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		// Hex has to be in quotes in a plan; an address with colons is better off with them.
		if strings.HasPrefix(v, "0x") || strings.Contains(v, ":") && strings.Contains(v, "::") || v == "" {
			return fmt.Sprintf("%q", v)
		}
		return v
	}
	return number(value)
}

// number writes a number of the schema without the exponent that JSON decoding gives big ones.
func number(value any) string {
	if f, ok := value.(float64); ok {
		return fmt.Sprintf("%.0f", f)
	}
	out, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(out)
}

// child is the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func without(words []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == word })
}
