package schema

import (
	"strconv"

	"gopkg.in/yaml.v3"
)

// fields says how each key of a mapping goes into a T. The tables made of it are held against the JSON Schema by a test:
// what the one has, the other has.
type fields[T any] map[string]func(l *loader, n *yaml.Node, into *T)

// decode fills into from a mapping. What is bad is passed over; so is what the schema has refused.
func decode[T any](l *loader, n *yaml.Node, table fields[T], into *T) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if l.bad[k] || l.bad[value] {
			continue
		}
		if field, ok := table[k.Value]; ok {
			field(l, value, into)
		} else {
			l.refuse(k, unknownKey, "no key of a plan in this place", "remove it")
		}
	}
}

// good is the value of a key if it is there and nothing is wrong with it so far, or nil.
func (l *loader) good(n *yaml.Node, key string) *yaml.Node {
	value := child(n, key)
	if value == nil || l.bad[value] {
		return nil
	}
	return value
}

// entries are the entries of a list that nothing is wrong with so far.
func (l *loader) entries(n *yaml.Node) []*yaml.Node {
	out := make([]*yaml.Node, 0, len(n.Content))
	for _, entry := range n.Content {
		if !l.bad[entry] {
			out = append(out, entry)
		}
	}
	return out
}

// text is a field that takes any text.
func text[T any](field func(*T) *string) func(*loader, *yaml.Node, *T) {
	return func(_ *loader, n *yaml.Node, into *T) { *field(into) = n.Value }
}

// word is a field that takes one of the words of the schema.
func word[T any, W ~string](field func(*T) *W) func(*loader, *yaml.Node, *T) {
	return func(_ *loader, n *yaml.Node, into *T) { *field(into) = W(n.Value) }
}

// boolean is a field that takes true or false.
func boolean[T any](field func(*T) *bool) func(*loader, *yaml.Node, *T) {
	return func(_ *loader, n *yaml.Node, into *T) { *field(into) = n.Value == "true" }
}

// number32 is an optional field that takes a number whose range the schema has checked.
func number32[T any](field func(*T) **uint32) func(*loader, *yaml.Node, *T) {
	return func(_ *loader, n *yaml.Node, into *T) {
		v := uint32(whole(n))
		*field(into) = &v
	}
}

// whole is a number whose range the schema has checked.
func whole(n *yaml.Node) uint64 {
	v, _ := strconv.ParseUint(n.Value, 10, 64)
	return v
}
